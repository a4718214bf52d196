// SPDX-License-Identifier: LGPL-2.1-or-later
#include "zone_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace virt_power {

ZoneSet::ZoneSet(const Sensors& sensors, std::string source_prefix, Warn warn,
                 std::shared_ptr<ZoneMemory> memory)
    : source_prefix_(std::move(source_prefix)), warn_(std::move(warn)), memory_(std::move(memory)) {
    for (const std::shared_ptr<EnergySensor>& sensor : sensors) {
        const SensorInfo& info = sensor->info();
        Zone& zone = zones_.emplace_back(Zone{sensor, EnergyCounter(info.range_uj, info.max_power_uw)});
        std::optional<EnergyCounter::State> state =
            memory_ ? memory_->find(info.name, source_prefix_ + info.source) : std::nullopt;
        if (!state) continue;
        if (!info.outlives_us) state->raw_uj.reset();
        zone.counter.resume(*state);
    }
}

void ZoneSet::keep(const Zone& zone) {
    const SensorInfo& info = zone.sensor->info();
    if (memory_) memory_->keep(info.name, source_prefix_ + info.source, zone.counter.state());
}

void ZoneSet::take(Zone& zone, const Result<uint64_t>& raw_uj, uint64_t now_ns) {
    zone.readable = raw_uj.has_value();
    if (raw_uj) {
        uint64_t gaps = zone.counter.gaps();
        zone.counter.add(*raw_uj, now_ns);
        if (zone.counter.gaps() != gaps)
            warn_(fmt::format(
                "zone {}: its counter went back, was away or was read too late; the energy since the "
                "reading before is not known",
                zone.sensor->info().name));
        zone.warned = false;
        keep(zone);
        return;
    }
    zone.counter.interrupt();
    keep(zone);
    if (!std::exchange(zone.warned, true))
        warn_(fmt::format("zone {}: {}; it has no figures until it can be read again",
                          zone.sensor->info().name, raw_uj.error().message));
}

bool ZoneSet::read(const Clock& now_ns) {
    std::unique_lock lock(mutex_);
    uint64_t generation = generation_;
    for (size_t n = 0; n < zones_.size(); n++) {
        if (zones_[n].given_up) continue;
        std::shared_ptr<EnergySensor> sensor = zones_[n].sensor;
        in_sensor_ = n;
        lock.unlock();
        Result<uint64_t> raw_uj = Error{};
        try {
            raw_uj = sensor->read_uj();
        } catch (const std::exception& exception) {
            raw_uj = Error{ErrorKind::Transient, 0, exception.what()};
        }
        uint64_t at_ns = now_ns();
        lock.lock();
        if (generation != generation_) {
            // It was given up, and has answered after all: the next reading starts anew.
            zones_[n].given_up = false;
            zones_[n].counter.interrupt();
            return false;
        }
        in_sensor_.reset();
        take(zones_[n], raw_uj, at_ns);
    }
    choose_counted();
    return true;
}

std::string ZoneSet::abandon() {
    std::lock_guard lock(mutex_);
    if (!in_sensor_) return {};
    Zone& zone = zones_[*std::exchange(in_sensor_, std::nullopt)];
    zone.given_up = true;
    zone.readable = false;
    generation_++;
    choose_counted();
    return zone.sensor->info().name;
}

/// Of the sensors that count the same thing one is chosen, the first by
/// preference that can be read and has moved, so that nothing counts twice: MSR
/// before MMIO before perf, and a whole package before its dies.
void ZoneSet::choose_counted() {
    std::map<std::pair<int64_t, std::string>, std::vector<Zone*>> groups;
    for (Zone& zone : zones_) {
        zone.counted = false;
        const SensorInfo& info = zone.sensor->info();
        if (info.type != "package" && info.type != "dram") continue;
        if (zone.readable && zone.counter.moved())
            groups[{info.package_id.value_or(-1), info.type}].push_back(&zone);
    }
    for (auto& [key, zones] : groups) {
        std::stable_sort(zones.begin(), zones.end(), [](const Zone* a, const Zone* b) {
            return a->sensor->info().preference < b->sensor->info().preference;
        });
        auto whole = std::find_if(zones.begin(), zones.end(),
                                  [](const Zone* zone) { return !zone->sensor->info().die_id; });
        if (whole != zones.end()) {
            (*whole)->counted = true;
            continue;
        }
        std::map<int64_t, Zone*> of_die;
        for (Zone* zone : zones) of_die.try_emplace(*zone->sensor->info().die_id, zone);
        for (auto& [die, zone] : of_die) zone->counted = true;
    }
}

std::vector<ZoneReading> ZoneSet::zones(const CpuTopology& topology, uint64_t time_ns) const {
    std::lock_guard lock(mutex_);
    std::vector<ZoneReading> readings;
    for (const Zone& zone : zones_) {
        const SensorInfo& info = zone.sensor->info();
        ZoneReading reading;
        reading.name = info.name;
        reading.type = info.type;
        if (info.package_id) reading.package = topology.package_of_id(*info.package_id);
        reading.source = source_prefix_ + info.source;
        reading.counted = zone.counted;
        reading.gaps = zone.counter.gaps();
        if (zone.readable) reading.energy_uj = zone.counter.energy_uj_at(time_ns);
        readings.push_back(std::move(reading));
    }
    return readings;
}

bool ZoneSet::any_counted() const {
    std::lock_guard lock(mutex_);
    return std::any_of(zones_.begin(), zones_.end(), [](const Zone& zone) { return zone.counted; });
}

std::optional<uint64_t> ZoneSet::shortest_wrap_ns() const {
    std::lock_guard lock(mutex_);
    std::optional<uint64_t> shortest;
    for (const Zone& zone : zones_) {
        std::optional<uint64_t> wrap_ns = zone.given_up ? std::nullopt : zone.counter.wrap_ns();
        if (wrap_ns && (!shortest || *wrap_ns < *shortest)) shortest = wrap_ns;
    }
    return shortest;
}

}  // namespace virt_power
