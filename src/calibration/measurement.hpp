// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Static power from the samples of a host that does nothing. Arithmetic only.
#ifndef VIRT_POWER_CALIBRATION_MEASUREMENT_HPP
#define VIRT_POWER_CALIBRATION_MEASUREMENT_HPP

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "calibration.hpp"
#include "virt-power/result.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

struct MeasurementOptions {
    double max_busy_percent = 2;  ///< of a package's CPUs, on average over all windows
    uint64_t planned_ns = 0;      ///< how long it is to take; 0: not known
};

/// Two samples one after the other make a window. Of the host and of each counted
/// zone of type package or dram it is good or dropped: counters that went back,
/// have a gap or began anew, or a sample without a reading.
///
/// The CPUs of the host are taken as spread evenly over its packages.
class Measurement {
public:
    /// A single window may be this many times as busy as the mean.
    static constexpr double far_factor = 5;
    static constexpr size_t fewest_windows = 5;

    explicit Measurement(MeasurementOptions options) : options_(options) {}

    /// Error: there is nothing to measure, or the host is so busy that more samples will
    /// not mend it. After that, no more calls.
    [[nodiscard]] Status add(const Sample& sample);

    /// A window that could not be asked for: the daemon gave no sample.
    void drop(const std::string& why);

    /// Without machine_id and date. Error: the host was not idle, or too little
    /// could be measured; says why and what to do.
    [[nodiscard]] Result<Calibration> result() const;

private:
    struct Window {
        uint64_t duration_ns = 0;
        std::vector<uint64_t> host_ns;  ///< per package
        std::vector<uint64_t> vms_ns;
    };
    struct Zone {
        ZoneStatic result;  ///< its name, type, source and counts
        uint64_t energy_uj = 0;
        uint64_t duration_ns = 0;
        std::vector<uint64_t> power_uw;  ///< of each good window
        bool seen = false;               ///< good in the window at hand
    };
    struct DomainTime {
        std::string name;
        uint64_t last_ns = 0;  ///< its counter
        uint64_t used_ns = 0;
    };

    [[nodiscard]] std::string problem_of(const Sample& sample) const;
    [[nodiscard]] std::string subtract(const HostReading& now, Window& window) const;
    void add_window(const HostReading& now, const Window& window);
    void add_zone(const ZoneReading& before, const ZoneReading& now, uint64_t duration_ns);
    void add_domains(const std::vector<DomainSample>& domains, bool in_window);
    [[nodiscard]] double percent(uint64_t time_ns, uint64_t duration_ns, size_t packages) const;
    [[nodiscard]] std::optional<Error> too_busy() const;
    [[nodiscard]] std::string busiest() const;
    [[nodiscard]] Status check(const Zone& zone) const;

    MeasurementOptions options_;
    std::string host_;
    uint32_t cpus_ = 0;
    std::optional<HostReading> before_;
    uint64_t duration_ns_ = 0;
    size_t windows_ = 0;
    size_t dropped_ = 0;
    std::string last_problem_;
    std::vector<uint64_t> host_ns_, vms_ns_;  ///< per package, of all good windows
    double highest_percent_ = 0;              ///< of one package in one window
    std::vector<Zone> zones_;
    std::map<std::pair<std::string, uint64_t>, DomainTime> domains_;  ///< by UUID and instance
};

}  // namespace virt_power

#endif
