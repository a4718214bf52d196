// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Samples of a host under changing load, made into windows for a regression.
#ifndef VIRT_POWER_CALIBRATION_LOAD_WINDOWS_HPP
#define VIRT_POWER_CALIBRATION_LOAD_WINDOWS_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "virt-power/sample.hpp"

namespace virt_power {

/// Means of one window, per second: of a zone, and of the package that it is of.
struct LoadWindow {
    double power_uw = 0;
    double use = 0;                 ///< all tasks but idle: cycles, or nanoseconds where none are counted
    std::optional<double> shared;   ///< as PackageReading::shared
    std::optional<double> squared;  ///< as PackageReading::squared
};

/// Of one zone, counted by one source, and use counted in one way.
struct ZoneWindows {
    std::string name, type, source;
    bool cycles = false;  ///< `use` is cycles
    std::vector<LoadWindow> windows;
};

/// Joins samples until they span a given time. What does not let its ends be compared ends a window
/// without a figure: another epoch, counters that went back, gaps, another way of counting.
class LoadWindows {
public:
    explicit LoadWindows(uint64_t shortest_ns) : shortest_ns_(shortest_ns) {}

    void add(const Sample& sample);
    /// The next window begins with the next sample: the load changes now.
    void cut() { before_.reset(); }

    [[nodiscard]] const std::vector<ZoneWindows>& zones() const { return zones_; }
    [[nodiscard]] size_t windows() const { return windows_; }
    [[nodiscard]] size_t dropped() const { return dropped_; }
    [[nodiscard]] double seconds() const { return seconds_; }
    /// Of all CPUs, where their number is known.
    [[nodiscard]] double busy_percent() const;
    [[nodiscard]] double busy_highest_percent() const { return highest_percent_; }
    [[nodiscard]] double busy_lowest_percent() const { return lowest_percent_; }
    /// Why a window was dropped, the last time; empty: none was.
    [[nodiscard]] const std::string& last_problem() const { return last_problem_; }

private:
    void drop(const std::string& why);
    void add_window(const HostReading& now, uint32_t cpus);
    void add_zone(const ZoneReading& zone, const HostReading& now, double seconds);

    uint64_t shortest_ns_;
    std::optional<HostReading> before_;
    std::vector<ZoneWindows> zones_;
    size_t windows_ = 0, dropped_ = 0;
    double seconds_ = 0, busy_cpu_s_ = 0, cpu_s_ = 0;
    double highest_percent_ = 0, lowest_percent_ = 100;
    std::string last_problem_;
};

/// Counted, and of a type that has static power: package or dram.
bool has_static_power(const ZoneReading& zone);

}  // namespace virt_power

#endif
