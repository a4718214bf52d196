// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/compile.h>
#include <fmt/format.h>

#include <array>

#include "fd_writer.hpp"
#include "names.hpp"
#include "selection.hpp"
#include "utf8.hpp"
#include "virt-power/sinks.hpp"

namespace virt_power {
namespace {

/// Appends `"key":value` pairs; knows whether a comma is due.
class Object {
public:
    explicit Object(std::string& out) : out_(out) { out_ += '{'; }

    void text(std::string_view key, std::string_view value) {
        begin(key);
        append_json_string(out_, value);
    }
    void raw(std::string_view key, std::string_view value) {
        begin(key);
        out_ += value;
    }
    template <typename Number>
    void number(std::string_view key, Number value) {
        begin(key);
        fmt::format_int digits(value);
        out_.append(digits.data(), digits.size());
    }
    template <typename Number>
    void number(std::string_view key, const std::optional<Number>& value) {
        if (value) number(key, *value);
    }
    /// What is not a count: nine digits are more than any sensor gives.
    void real(std::string_view key, const std::optional<double>& value) {
        if (!value) return;
        begin(key);
        std::array<char, 32> digits{};
        char* end = fmt::format_to(digits.data(), FMT_COMPILE("{:.9g}"), *value);
        out_.append(digits.data(), end);
    }
    template <typename Items, typename Write>
    void array(std::string_view key, const Items& items, Write write) {
        begin(key);
        out_ += '[';
        bool first = true;
        for (const auto& item : items) {
            if (!first) out_ += ',';
            first = false;
            write(item);
        }
        out_ += ']';
    }
    void end() { out_ += '}'; }

private:
    void begin(std::string_view key) {
        out_ += first_ ? "\"" : ",\"";
        first_ = false;
        out_ += key;
        out_ += "\":";
    }

    std::string& out_;
    bool first_ = true;
};

void write_zone(std::string& out, const ZoneInterval& zone) {
    Object object(out);
    object.text("name", zone.name);
    object.text("type", zone.type);
    object.number("package", zone.package);
    object.text("source", zone.source);
    object.raw("counted", zone.counted ? "true" : "false");
    object.number("energy_uj", zone.energy_uj);
    object.number("limit_uw", zone.limit_uw);
    object.end();
}

void write_package(std::string& out, const PackageInterval& package) {
    Object object(out);
    object.number("id", package.id);
    object.number("frequency_khz", package.frequency_khz);
    object.end();
}

void write_row(std::string& out, const Interval& interval, const ShownRow& shown) {
    const Row& row = *shown.row;
    Object object(out);
    object.text("kind", name_of(row.kind));
    if (!row.name.empty()) object.text("name", row.name);
    if (!row.uuid.empty()) object.text("uuid", row.uuid);
    object.number("instance", row.instance);
    object.number("energy_uj", row.energy_uj);
    object.real("power_w", shown.power_w);
    object.real("energy_share", row.energy_share);
    object.real("cpu_share", row.cpu_share);
    object.number("cpu_time_ns", row.cpu_time_ns);
    object.number("cycles", row.cycles);
    object.number("helper_energy_uj", row.helper_energy_uj);
    object.number("helper_cpu_time_ns", row.helper_time_ns);
    if (!row.zones.empty())
        object.array("zones", row.zones, [&](const ZoneEnergy& energy) {
            Object zone(out);
            zone.text("zone", interval.zones[energy.zone].name);
            zone.number("energy_uj", energy.energy_uj);
            zone.end();
        });
    object.end();
}

void write_interval(std::string& out, const Interval& interval, const std::vector<ShownRow>& rows) {
    Object object(out);
    object.text("host", interval.host);
    object.text("uri", interval.uri);
    object.text("start", utc_time(start_wall_ns(interval)));
    object.text("end", utc_time(interval.end_wall_ns));
    object.number("duration_ns", interval.duration_ns);
    if (interval.basis) {
        object.text("basis", name_of(*interval.basis));
        object.raw("weighed", interval.weighed ? "true" : "false");
        if (interval.weights_measured)
            object.text("weights", *interval.weights_measured ? "measured" : "default");
    }
    object.text("model", name_of(interval.model));
    if (has_energy(interval)) {
        object.text("static", name_of(interval.static_policy));
        object.text("idle", interval.idle_included ? "included" : "separated");
    }
    if (!interval.reason.empty()) {
        object.text("status", name_of(interval.status));
        object.text("reason", interval.reason);
    }
    object.array("zones", interval.zones, [&](const ZoneInterval& zone) { write_zone(out, zone); });
    if (!interval.packages.empty())
        object.array("packages", interval.packages,
                     [&](const PackageInterval& package) { write_package(out, package); });
    object.array("rows", rows, [&](const ShownRow& row) { write_row(out, interval, row); });
    object.end();
    out += '\n';
}

class JsonSink : public Sink {
public:
    JsonSink(int fd, const SinkOptions& options) : writer_(fd, options.stop_fd), selection_(options) {}

    Status write(const std::vector<Interval>& intervals) override {
        out_.clear();
        for (const Interval& interval : intervals)
            write_interval(out_, interval, selection_.take(std::span(&interval, 1)));
        return writer_.write(out_);
    }

private:
    FdWriter writer_;
    Selection selection_;
    std::string out_;  ///< kept for its memory
};

}  // namespace

std::unique_ptr<Sink> make_json_sink(int fd, const SinkOptions& options) {
    return std::make_unique<JsonSink>(fd, options);
}

}  // namespace virt_power
