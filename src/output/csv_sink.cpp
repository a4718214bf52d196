// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/compile.h>
#include <fmt/format.h>

#include <array>
#include <utility>

#include "fd_writer.hpp"
#include "names.hpp"
#include "selection.hpp"
#include "utf8.hpp"
#include "virt-power/sinks.hpp"

namespace virt_power {
namespace {

constexpr std::string_view header =
    "start,end,duration_ns,host,uri,status,basis,model,static,idle,source,kind,name,uuid,instance,"
    "energy_uj,power_w,energy_share,cpu_share,cpu_time_ns,cycles,helper_energy_uj,helper_cpu_time_ns,"
    "weighed\n";

/// Empty where absent.
void append_cell(std::string& out, const std::optional<uint64_t>& value) {
    out += ',';
    if (!value) return;
    fmt::format_int digits(*value);
    out.append(digits.data(), digits.size());
}

void append_cell(std::string& out, const std::optional<double>& value) {
    out += ',';
    if (!value) return;
    std::array<char, 32> digits{};
    char* end = fmt::format_to(digits.data(), FMT_COMPILE("{:.9g}"), *value);
    out.append(digits.data(), end);
}

/// What all rows of an interval begin with.
std::string head_of(const Interval& interval) {
    bool energy = has_energy(interval);
    return fmt::format(
        "{},{},{},{},{},{},{},{},{},{},{},", utc_time(start_wall_ns(interval)),
        utc_time(interval.end_wall_ns), interval.duration_ns, csv_field(interval.host),
        csv_field(interval.uri), name_of(interval.status), interval.basis ? name_of(*interval.basis) : "",
        name_of(interval.model), energy ? name_of(interval.static_policy) : "",
        energy ? interval.idle_included ? "included" : "separated" : "", csv_field(sources_of(interval)));
}

void append_row(std::string& out, const ShownRow& shown) {
    const Row& row = *shown.row;
    out += name_of(row.kind);
    out += ',';
    out += csv_field(row.name);
    out += ',';
    out += row.uuid;
    append_cell(out, row.instance);
    append_cell(out, row.energy_uj);
    append_cell(out, shown.power_w);
    append_cell(out, row.energy_share);
    append_cell(out, row.cpu_share);
    append_cell(out, row.cpu_time_ns);
    append_cell(out, row.cycles);
    append_cell(out, row.helper_energy_uj);
    append_cell(out, row.helper_time_ns);
    if (shown.interval->basis)
        out += shown.interval->weighed ? ",true" : ",false";
    else
        out += ',';
    out += '\n';
}

class CsvSink : public Sink {
public:
    CsvSink(int fd, const SinkOptions& options) : writer_(fd, options.stop_fd), selection_(options) {}

    Status write(const std::vector<Interval>& intervals) override {
        std::string out;
        if (!std::exchange(has_header_, true)) out += header;
        std::vector<std::string> heads;
        heads.reserve(intervals.size());
        for (const Interval& interval : intervals) heads.push_back(head_of(interval));
        for (const ShownRow& row : selection_.take(intervals)) {
            out += heads[static_cast<size_t>(row.interval - intervals.data())];
            append_row(out, row);
        }
        return writer_.write(out);
    }

private:
    FdWriter writer_;
    Selection selection_;
    bool has_header_ = false;
};

}  // namespace

std::unique_ptr<Sink> make_csv_sink(int fd, const SinkOptions& options) {
    return std::make_unique<CsvSink>(fd, options);
}

}  // namespace virt_power
