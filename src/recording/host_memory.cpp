// SPDX-License-Identifier: LGPL-2.1-or-later
#include "host_memory.hpp"

#include <fmt/format.h>

#include <span>
#include <utility>

namespace virt_power {
namespace {

void need(bool holds, std::string_view reason) {
    if (!holds) throw BadLine{std::string(reason)};
}

template <typename Item>
std::span<const Item> part_of(const Lists<Item>& from, size_t index) {
    size_t begin = index == 0 ? 0 : from.ends[index - 1];
    return std::span(from.items).subspan(begin, from.ends[index] - begin);
}

void assign(std::vector<Usage>& to, const Lists<Usage>& from, size_t index) {
    std::span<const Usage> part = part_of(from, index);
    to.assign(part.begin(), part.end());
}

/// As many lists as there are things that they are of; none at all stands for none each.
void need_count(bool has, const Lists<Usage>& lists, size_t count, std::string_view key) {
    if (has ? lists.ends.size() != count : count != 0)
        throw BadLine{fmt::format("'{}' must have {} elements", key, count)};
}

/// A key that need not be there; if it is, it has an element for each.
void need_each(bool has, size_t elements, size_t count, std::string_view key, std::string_view what) {
    if (has && elements != count)
        throw BadLine{fmt::format("'{}' must have an element for each {}", key, what)};
}

void add_weights(std::vector<Usage>& usages, const Lists<std::optional<uint64_t>>& weights, size_t index) {
    std::span<const std::optional<uint64_t>> part = part_of(weights, index);
    need(part.size() == usages.size(), "a use must have as many weights as packages");
    for (size_t p = 0; p < usages.size(); ++p) usages[p].weight = part[p];
}

std::optional<uint64_t> figure_of(bool has, const Figures& figures, size_t index) {
    return has ? figures[index] : std::nullopt;
}

}  // namespace

const DomainUsage& HostMemory::numbered(uint32_t number) const {
    if (number >= domains_.size()) throw BadLine{fmt::format("no domain has the number {}", number)};
    return domains_[number];
}

/// Numbers are used again, so they stay about as many as there are domains at a time.
void HostMemory::take_domains(Line& line) {
    if (!line.has(Key::Domains)) return;
    for (NumberedDomain& domain : line.domains) {
        if (domain.number > domains_.size())
            throw BadLine{fmt::format("domain number {} leaves out {}", domain.number, domains_.size())};
        if (domain.number == domains_.size()) domains_.emplace_back();
        domains_[domain.number] = {
            std::move(domain.name), std::move(domain.uuid), domain.instance, {}, domain.usage_source};
    }
}

void HostMemory::take_running(const Line& line) {
    if (line.has(Key::Running)) running_ = line.running;
    if (line.has(Key::Running) || line.has(Key::Domains)) {
        sample_.domains.resize(running_.size());
        for (size_t i = 0; i < running_.size(); ++i) sample_.domains[i].usage = numbered(running_[i]);
    }
    need_count(line.has(Key::Use), line.use, running_.size(), "use");
    bool has_weight = line.has(Key::UseWeight), has_helper = line.has(Key::UseHelper);
    need_each(has_weight, line.use_weight.ends.size(), running_.size(), "use_weight", "domain that runs");
    need_each(has_helper, line.use_helper.ends.size(), running_.size(), "use_helper", "domain that runs");
    bool has_cpu_time = line.has(Key::CpuTime);
    need(!has_cpu_time || line.cpu_time_ns.size() == running_.size(),
         "'cpu_time' must have as many elements as 'running'");
    for (size_t i = 0; i < running_.size(); ++i) {
        DomainUsage& usage = sample_.domains[i].usage;
        assign(usage.packages, line.use, i);
        if (has_weight) add_weights(usage.packages, line.use_weight, i);
        usage.helpers.clear();
        if (has_helper) assign(usage.helpers, line.use_helper, i);
        sample_.domains[i].cpu_time_ns = figure_of(has_cpu_time, line.cpu_time_ns, i);
    }
}

/// After what runs is known.
void HostMemory::take_allocations(const Line& line) {
    if (line.has(Key::Vcpus)) vcpus_ = line.vcpus;
    if (line.has(Key::Memory)) memory_kib_ = line.memory_kib;
    need_each(!vcpus_.empty(), vcpus_.size(), running_.size(), "vcpus", "domain that runs");
    need_each(!memory_kib_.empty(), memory_kib_.size(), running_.size(), "memory", "domain that runs");
    for (size_t i = 0; i < running_.size(); ++i) {
        DomainSample& domain = sample_.domains[i];
        std::optional<uint64_t> vcpus = figure_of(!vcpus_.empty(), vcpus_, i);
        domain.vcpus = vcpus ? std::optional(static_cast<uint32_t>(*vcpus)) : std::nullopt;
        domain.memory_kib = figure_of(!memory_kib_.empty(), memory_kib_, i);
    }
}

void HostMemory::take_departed(const Line& line, HostReading& reading) {
    if (line.has(Key::Departed)) departed_ = line.departed;
    if (line.has(Key::Departed) || line.has(Key::Domains)) {
        reading.departed.resize(departed_.size());
        for (size_t i = 0; i < departed_.size(); ++i) reading.departed[i] = numbered(departed_[i]);
    }
    need_count(line.has(Key::DepartedUse), line.departed_use, departed_.size(), "departed_use");
    size_t count = departed_.size();
    bool has_weight = line.has(Key::DepartedWeight), has_helper = line.has(Key::DepartedHelper);
    need_each(has_weight, line.departed_weight.ends.size(), count, "departed_weight", "departed domain");
    need_each(has_helper, line.departed_helper.ends.size(), count, "departed_helper", "departed domain");
    for (size_t i = 0; i < count; ++i) {
        DomainUsage& usage = reading.departed[i];
        assign(usage.packages, line.departed_use, i);
        if (has_weight) add_weights(usage.packages, line.departed_weight, i);
        usage.helpers.clear();
        if (has_helper) assign(usage.helpers, line.departed_helper, i);
    }
}

void HostMemory::take_packages(const Line& line, HostReading& reading) const {
    need_count(line.has(Key::PackageUse), line.package_use, packages_.size(), "package_use");
    size_t count = packages_.size();
    bool has_frequency = line.has(Key::PackageFrequency), has_weight = line.has(Key::PackageWeight);
    bool has_shared = line.has(Key::PackageShared), has_squared = line.has(Key::PackageSquared);
    need_each(has_frequency, line.package_frequency_khz.size(), count, "package_frequency", "package");
    need_each(has_weight, line.package_weight.ends.size(), count, "package_weight", "package");
    need_each(has_shared, line.package_shared.size(), count, "package_shared", "package");
    need_each(has_squared, line.package_squared.size(), count, "package_squared", "package");
    reading.packages.resize(count);
    for (size_t p = 0; p < count; ++p) {
        need(line.package_use.ends[p] == 2 * (p + 1), "'package_use' must have two usages for each package");
        PackageReading& package = reading.packages[p];
        package = {packages_[p],
                   line.package_use.items[2 * p],
                   line.package_use.items[2 * p + 1],
                   figure_of(has_frequency, line.package_frequency_khz, p),
                   figure_of(has_shared, line.package_shared, p),
                   figure_of(has_squared, line.package_squared, p)};
        if (!has_weight) continue;
        need(line.package_weight.ends[p] == 2 * (p + 1),
             "'package_weight' must have two weights for each package");
        package.host.weight = line.package_weight.items[2 * p];
        package.vms.weight = line.package_weight.items[2 * p + 1];
    }
}

void HostMemory::take_departed_totals(const Line& line, HostReading& reading) {
    reading.departed_totals.clear();
    if (line.has(Key::DepartedTotal)) reading.departed_totals = line.departed_total.items;
    if (!line.has(Key::DepartedTotalWeight)) return;
    need(line.departed_total_weight.size() == reading.departed_totals.size(),
         "'departed_total_weight' must have an element for each package of 'departed_total'");
    for (size_t p = 0; p < reading.departed_totals.size(); ++p)
        reading.departed_totals[p].weight = line.departed_total_weight[p];
}

void HostMemory::take_zones(const Line& line, HostReading& reading) const {
    size_t counters = line.has(Key::ZoneEnergy) ? line.zone_energy.size() : 0;
    need(counters == zones_.size(), "'zone_energy' must have an element for each zone");
    need(limits_uw_.empty() || limits_uw_.size() == zones_.size(),
         "'zone_limit' must have an element for each zone");
    reading.zones.resize(zones_.size());
    for (size_t z = 0; z < zones_.size(); ++z) {
        const ZoneFacts& zone = zones_[z];
        reading.zones[z] = {zone.name,
                            zone.type,
                            zone.package,
                            zone.source,
                            zone.counted,
                            line.zone_energy[z].energy_uj,
                            line.zone_energy[z].gaps,
                            zone.static_uw,
                            limits_uw_.empty() ? std::nullopt : limits_uw_[z]};
    }
}

void HostMemory::take_reading(const Line& line) {
    if (line.has(Key::Zones)) zones_ = line.zones;
    if (line.has(Key::Packages)) packages_ = line.packages;
    if (line.has(Key::ZoneLimit)) limits_uw_ = line.zone_limit_uw;
    if (line.has(Key::Weighing)) weighing_ = line.weighing;
    if (!line.has(Key::Reading)) {
        for (Key key :
             {Key::PackageUse, Key::ZoneEnergy, Key::PackageFrequency, Key::Departed, Key::DepartedTotal,
              Key::DepartedUse, Key::PackageWeight, Key::PackageShared, Key::PackageSquared,
              Key::DepartedTotalWeight, Key::DepartedWeight, Key::DepartedHelper})
            need(!line.has(key), "it has counters of the host, but no 'reading'");
        if (sample_.reading) reading_ = *std::exchange(sample_.reading, std::nullopt);
        departed_.clear();
        reading_.departed.clear();
        return;
    }
    if (!sample_.reading) sample_.reading = std::move(reading_);
    HostReading& reading = *sample_.reading;
    const ReadingFacts& facts = line.reading;
    reading.epoch = facts.epoch;
    reading.time_ns = facts.time_ns;
    reading.usage_source = facts.usage_source;
    reading.cycles_gaps = facts.cycles_gaps;
    reading.interval_ns = facts.interval_ns;
    reading.vm_count = facts.vm_count;
    reading.weighing = weighing_;
    take_packages(line, reading);
    take_zones(line, reading);
    take_departed_totals(line, reading);
    take_departed(line, reading);
}

void HostMemory::take(Line& line) {
    if (line.has(Key::About)) {
        sample_.host = std::move(line.about.host);
        sample_.uri = std::move(line.about.uri);
        sample_.host_cpus = line.about.cpus;
        sample_.status = line.about.status;
        sample_.status_reason = std::move(line.about.reason);
        knows_about_ = true;
    }
    need(knows_about_, "the first sample of a host must have 'about'");
    sample_.wall_ns = line.wall_ns;
    sample_.monotonic_ns = line.monotonic_ns;
    sample_.notices.clear();
    if (line.has(Key::Notices)) sample_.notices = std::move(line.notices);
    take_domains(line);
    take_reading(line);
    take_running(line);
    take_allocations(line);
}

}  // namespace virt_power
