// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reading_codec.hpp"

#include <fmt/format.h>

#include <iterator>

namespace virt_power {
namespace {

/// Writes names into one buffer, so that a reading of many domains allocates little.
class Emitter {
public:
    explicit Emitter(const ParamSink& sink) : sink_(sink) {}

    template <typename... Args>
    void put(const ParamValue& value, fmt::format_string<Args...> name, Args&&... args) {
        if (stopped_) return;
        name_.clear();
        fmt::format_to(std::back_inserter(name_), name, std::forward<Args>(args)...);
        stopped_ = !sink_(std::string_view(name_.data(), name_.size()), value);
    }

    [[nodiscard]] bool finished() const { return !stopped_; }

private:
    const ParamSink& sink_;
    fmt::memory_buffer name_;
    bool stopped_ = false;
};

std::string usage_source_name(UsageSource source) { return source == UsageSource::Bpf ? "bpf" : "proc"; }

uint32_t size_of(size_t size) { return static_cast<uint32_t>(size); }

/// \param part stands before the word: "host." in energy.package.0.host.time
void put_usage(Emitter& out, std::string_view prefix, size_t n, std::string_view part, const Usage& usage) {
    out.put(usage.time_ns, "{}package.{}.{}time", prefix, n, part);
    if (usage.cycles) out.put(*usage.cycles, "{}package.{}.{}cycles", prefix, n, part);
    if (usage.weight) out.put(*usage.weight, "{}package.{}.{}weight", prefix, n, part);
}

void put_usages(Emitter& out, std::string_view prefix, const std::vector<Usage>& usages,
                const std::vector<Usage>& helpers = {}) {
    for (size_t n = 0; n < usages.size(); n++) {
        put_usage(out, prefix, n, "", usages[n]);
        if (n < helpers.size()) put_usage(out, prefix, n, "helper.", helpers[n]);
    }
}

void put_weighing(Emitter& out, const Weighing& weighing) {
    out.put(weighing.shared_permille, "energy.host.weight.shared");
    out.put(weighing.cycle_permille, "energy.host.weight.cycle");
    out.put(weighing.square_permille, "energy.host.weight.square");
    out.put(weighing.measured, "energy.host.weight.measured");
}

void put_package(Emitter& out, size_t n, const PackageReading& package) {
    out.put(static_cast<int32_t>(package.id), "energy.package.{}.id", n);
    put_usage(out, "energy.", n, "host.", package.host);
    if (package.shared) out.put(*package.shared, "energy.package.{}.host.shared", n);
    if (package.squared) out.put(*package.squared, "energy.package.{}.host.squared", n);
    put_usage(out, "energy.", n, "vms.", package.vms);
    if (package.frequency_khz) out.put(*package.frequency_khz, "energy.package.{}.frequency", n);
}

void put_zone(Emitter& out, size_t n, const ZoneReading& zone) {
    out.put(zone.name, "energy.zone.{}.name", n);
    out.put(zone.type, "energy.zone.{}.type", n);
    if (zone.package) out.put(*zone.package, "energy.zone.{}.package", n);
    out.put(zone.source, "energy.zone.{}.source", n);
    out.put(zone.counted, "energy.zone.{}.counted", n);
    out.put(zone.gaps, "energy.zone.{}.gaps", n);
    if (zone.energy_uj) out.put(*zone.energy_uj, "energy.zone.{}.energy", n);
    if (zone.static_uw) out.put(*zone.static_uw, "energy.zone.{}.static", n);
    if (zone.limit_uw) out.put(*zone.limit_uw, "energy.zone.{}.limit", n);
}

void put_departed(Emitter& out, size_t n, const DomainUsage& domain) {
    out.put(domain.name, "energy.departed.{}.name", n);
    out.put(domain.uuid, "energy.departed.{}.uuid", n);
    out.put(domain.instance, "energy.departed.{}.instance", n);
    put_usages(out, fmt::format("energy.departed.{}.", n), domain.packages, domain.helpers);
}

}  // namespace

bool encode_host(const HostReading& host, const ParamSink& sink) {
    Emitter out(sink);
    out.put(host.epoch, "energy.host.epoch");
    out.put(host.time_ns, "energy.host.time");
    out.put(usage_source_name(host.usage_source), "energy.host.usage");
    if (host.cycles_gaps) out.put(*host.cycles_gaps, "energy.host.cycles.gaps");
    if (host.interval_ns) out.put(*host.interval_ns, "energy.host.interval");
    if (host.vm_count) out.put(*host.vm_count, "energy.host.domains");
    if (host.weighing) put_weighing(out, *host.weighing);
    out.put(size_of(host.packages.size()), "energy.package.count");
    for (size_t n = 0; n < host.packages.size(); n++) put_package(out, n, host.packages[n]);
    out.put(size_of(host.zones.size()), "energy.zone.count");
    for (size_t n = 0; n < host.zones.size(); n++) put_zone(out, n, host.zones[n]);
    put_usages(out, "energy.departed.", host.departed_totals);
    out.put(size_of(host.departed.size()), "energy.departed.count");
    for (size_t n = 0; n < host.departed.size(); n++) put_departed(out, n, host.departed[n]);
    return out.finished();
}

namespace {

/// Made once: a host has many domains.
struct UsageNames {
    explicit UsageNames(std::string_view prefix)
        : time(fmt::format("{}time", prefix)),
          cycles(fmt::format("{}cycles", prefix)),
          weight(fmt::format("{}weight", prefix)) {}
    std::string time, cycles, weight;
};

struct PackageNames {
    explicit PackageNames(size_t n)
        : all(fmt::format("energy.package.{}.", n)), helper(fmt::format("energy.package.{}.helper.", n)) {}
    UsageNames all, helper;
};

/// Of the first packages; hosts with more are rare.
const std::vector<PackageNames>& package_names() {
    static const std::vector<PackageNames> names = [] {
        constexpr size_t count = 8;
        std::vector<PackageNames> made;
        for (size_t n = 0; n < count; n++) made.emplace_back(n);
        return made;
    }();
    return names;
}

bool put_named(const ParamSink& sink, const UsageNames& names, const Usage& usage) {
    return sink(names.time, usage.time_ns) && (!usage.cycles || sink(names.cycles, *usage.cycles)) &&
           (!usage.weight || sink(names.weight, *usage.weight));
}

}  // namespace

bool encode_domain(const DomainFigures& domain, const ParamSink& sink) {
    if (!sink("energy.instance", domain.instance)) return false;
    if (domain.usage_source && !sink("energy.usage", usage_source_name(*domain.usage_source))) return false;
    const std::vector<PackageNames>& known = package_names();
    for (size_t n = 0; n < domain.packages.size(); n++) {
        std::optional<PackageNames> made;
        const PackageNames& names = n < known.size() ? known[n] : made.emplace(n);
        if (!put_named(sink, names.all, domain.packages[n])) return false;
        if (n < domain.helpers.size() && !put_named(sink, names.helper, domain.helpers[n])) return false;
    }
    return true;
}

}  // namespace virt_power
