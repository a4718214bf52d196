// SPDX-License-Identifier: LGPL-2.1-or-later
#include "host_memory.hpp"

#include <fmt/format.h>

#include <utility>

namespace virt_power {
namespace {

void need(bool holds, std::string_view reason) {
    if (!holds) throw BadLine{std::string(reason)};
}

void assign(std::vector<Usage>& to, const UsageLists& from, size_t index) {
    auto place = [&](size_t i) { return from.usages.begin() + static_cast<std::ptrdiff_t>(i); };
    to.assign(place(index == 0 ? 0 : from.ends[index - 1]), place(from.ends[index]));
}

/// As many lists as there are things that they are of; none at all stands for none each.
void need_count(bool has, const UsageLists& lists, size_t count, std::string_view key) {
    if (has ? lists.ends.size() != count : count != 0)
        throw BadLine{fmt::format("'{}' must have {} elements", key, count)};
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
    bool has_cpu_time = line.has(Key::CpuTime);
    need(!has_cpu_time || line.cpu_time_ns.size() == running_.size(),
         "'cpu_time' must have as many elements as 'running'");
    for (size_t i = 0; i < running_.size(); ++i) {
        assign(sample_.domains[i].usage.packages, line.use, i);
        sample_.domains[i].cpu_time_ns = has_cpu_time ? line.cpu_time_ns[i] : std::nullopt;
    }
}

void HostMemory::take_departed(const Line& line, HostReading& reading) {
    if (line.has(Key::Departed)) departed_ = line.departed;
    if (line.has(Key::Departed) || line.has(Key::Domains)) {
        reading.departed.resize(departed_.size());
        for (size_t i = 0; i < departed_.size(); ++i) reading.departed[i] = numbered(departed_[i]);
    }
    need_count(line.has(Key::DepartedUse), line.departed_use, departed_.size(), "departed_use");
    for (size_t i = 0; i < departed_.size(); ++i) assign(reading.departed[i].packages, line.departed_use, i);
}

void HostMemory::take_packages(const Line& line, HostReading& reading) const {
    need_count(line.has(Key::PackageUse), line.package_use, packages_.size(), "package_use");
    bool has_frequency = line.has(Key::PackageFrequency);
    need(!has_frequency || line.package_frequency_khz.size() == packages_.size(),
         "'package_frequency' must have an element for each package");
    reading.packages.resize(packages_.size());
    for (size_t p = 0; p < packages_.size(); ++p) {
        need(line.package_use.ends[p] == 2 * (p + 1), "'package_use' must have two usages for each package");
        reading.packages[p] = {packages_[p], line.package_use.usages[2 * p],
                               line.package_use.usages[2 * p + 1],
                               has_frequency ? line.package_frequency_khz[p] : std::nullopt};
    }
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
    if (!line.has(Key::Reading)) {
        for (Key key : {Key::PackageUse, Key::ZoneEnergy, Key::PackageFrequency, Key::Departed,
                        Key::DepartedTotal, Key::DepartedUse})
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
    take_packages(line, reading);
    take_zones(line, reading);
    reading.departed_totals.clear();
    if (line.has(Key::DepartedTotal)) reading.departed_totals = line.departed_total.usages;
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
}

}  // namespace virt_power
