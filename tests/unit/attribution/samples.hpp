// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Samples for tests, told in few words.
#ifndef VIRT_POWER_TESTS_ATTRIBUTION_SAMPLES_HPP
#define VIRT_POWER_TESTS_ATTRIBUTION_SAMPLES_HPP

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "virt-power/pipeline.hpp"

namespace virt_power::test {

inline constexpr uint64_t second = 1'000'000'000;

inline DomainUsage domain(const std::string& name, uint64_t instance, std::vector<Usage> packages) {
    return {name, "uuid-" + name, instance, std::move(packages), {}};
}

/// Use of one package: so many ns, no cycles.
inline DomainUsage domain(const std::string& name, uint64_t instance, uint64_t time_ns) {
    return domain(name, instance, std::vector<Usage>{{time_ns, {}}});
}

inline ZoneReading zone(const std::string& name, std::optional<uint64_t> energy_uj,
                        const std::string& type = "package", std::optional<uint32_t> package = 0) {
    return {name, type, package, "powercap", true, energy_uj, 0};
}

/// A sample of a host with four CPUs and one package, status ok.
struct SampleBuilder {
    Sample sample;

    explicit SampleBuilder(uint64_t time_ns, uint64_t epoch = 1) {
        sample.host = "kvm1";
        sample.uri = "qemu:///system";
        sample.wall_ns = static_cast<int64_t>(1'700'000'000 * second + time_ns);
        sample.monotonic_ns = static_cast<int64_t>(time_ns);
        sample.status = EnergyStatus::Ok;
        sample.host_cpus = 4;
        sample.reading.emplace();
        sample.reading->epoch = epoch;
        sample.reading->time_ns = time_ns;
        sample.reading->usage_source = UsageSource::Bpf;
    }

    SampleBuilder& package(Usage host, Usage vms) {
        auto id = static_cast<int64_t>(sample.reading->packages.size());
        sample.reading->packages.push_back({id, host, vms});
        return *this;
    }
    SampleBuilder& package(uint64_t host_ns, uint64_t vms_ns) {
        return package(Usage{host_ns, {}}, Usage{vms_ns, {}});
    }
    SampleBuilder& zone(ZoneReading given) {
        sample.reading->zones.push_back(std::move(given));
        return *this;
    }
    SampleBuilder& zone(const std::string& name, std::optional<uint64_t> energy_uj) {
        return zone(test::zone(name, energy_uj));
    }
    SampleBuilder& running(DomainUsage usage) {
        sample.domains.push_back({std::move(usage), {}});
        return *this;
    }
    SampleBuilder& departed(DomainUsage usage) {
        sample.reading->departed.push_back(std::move(usage));
        return *this;
    }
    SampleBuilder& count(uint32_t domains) {
        sample.reading->vm_count = domains;
        return *this;
    }
    operator const Sample&() const { return sample; }  // NOLINT: used as a sample
};

inline const Row* find_row(const Interval& interval, RowKind kind, const std::string& name = "") {
    auto found = std::find_if(interval.rows.begin(), interval.rows.end(),
                              [&](const Row& row) { return row.kind == kind && row.name == name; });
    return found == interval.rows.end() ? nullptr : &*found;
}

/// Energy of a row, or nothing if there is no such row or no energy.
inline std::optional<uint64_t> energy(const Interval& interval, RowKind kind, const std::string& name = "") {
    const Row* row = find_row(interval, kind, name);
    return row ? row->energy_uj : std::nullopt;
}

inline std::optional<uint64_t> cpu_time(const Interval& interval, RowKind kind,
                                        const std::string& name = "") {
    const Row* row = find_row(interval, kind, name);
    return row ? row->cpu_time_ns : std::nullopt;
}

}  // namespace virt_power::test

#endif
