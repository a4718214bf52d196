// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What a calibration gave: the power of each zone of one host that does nothing.
#ifndef VIRT_POWER_CALIBRATION_CALIBRATION_HPP
#define VIRT_POWER_CALIBRATION_CALIBRATION_HPP

#include <cstdint>
#include <string>
#include <vector>

namespace virt_power {

/// All of one zone's windows that could be measured.
struct ZoneStatic {
    std::string name;    ///< as ZoneReading::name
    std::string type;    ///< package or dram
    std::string source;  ///< as ZoneReading::source: another source counts another energy
    uint64_t static_uw = 0;
    uint64_t deviation_uw = 0;  ///< standard deviation of the windows
    uint64_t lowest_uw = 0;     ///< of the windows
    uint64_t highest_uw = 0;
    uint64_t windows = 0;
    uint64_t dropped = 0;  ///< windows without a figure of this zone

    bool operator==(const ZoneStatic&) const = default;
};

struct Calibration {
    std::string host;        ///< the host's own name
    std::string machine_id;  ///< machine-id(5) of the host; empty: not known
    std::string date;        ///< RFC 3339, UTC; for people
    double seconds = 0;
    double busy_percent = 0;  ///< of the host's CPUs, mean
    double busy_highest_percent = 0;
    std::vector<ZoneStatic> zones;

    bool operator==(const Calibration&) const = default;
};

}  // namespace virt_power

#endif
