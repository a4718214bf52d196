// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What a calibration gave: the power of each zone of one host that does nothing, and what its CPUs'
/// use weighs.
#ifndef VIRT_POWER_CALIBRATION_CALIBRATION_HPP
#define VIRT_POWER_CALIBRATION_CALIBRATION_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weighing.hpp"

namespace virt_power {

/// How a figure was had.
enum class CalibrationMethod {
    Idle,       ///< a mean, while the host did nothing
    Recording,  ///< a regression over a recording of a host under changing load
    Load,       ///< a regression over load that was put on the host for it
};

/// As in the file and in JSON.
std::string_view name_of(CalibrationMethod method);

/// What a weight may be. Beyond it, something else was measured.
inline constexpr uint32_t least_shared_permille = 300, most_shared_permille = 1200;
inline constexpr uint32_t most_cycle_permille = 1000, most_square_permille = 10'000;

/// What a cycle weighs, as Weighing. A part without a deviation was not measured: it is the default.
struct Weights {
    uint32_t shared_permille = default_shared_permille;
    std::optional<uint32_t> shared_deviation_permille;
    uint32_t cycle_permille = 1000;
    std::optional<uint32_t> cycle_deviation_permille;
    uint32_t square_permille = 0;
    std::optional<uint32_t> square_deviation_permille;
    CalibrationMethod method = CalibrationMethod::Load;
    std::string source;  ///< of the energy, as ZoneReading::source; for people

    bool operator==(const Weights&) const = default;
};

/// All of one zone's windows that could be measured.
struct ZoneStatic {
    std::string name;    ///< as ZoneReading::name
    std::string type;    ///< package or dram
    std::string source;  ///< as ZoneReading::source: another source counts another energy
    uint64_t static_uw = 0;
    uint64_t deviation_uw = 0;  ///< standard deviation of the windows; of what a regression leaves
    uint64_t lowest_uw = 0;     ///< of the windows
    uint64_t highest_uw = 0;
    uint64_t windows = 0;
    uint64_t dropped = 0;  ///< windows without a figure of this zone
    CalibrationMethod method = CalibrationMethod::Idle;
    std::optional<uint64_t> error_uw = std::nullopt;  ///< standard error of a regression

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
    std::optional<Weights> weights = std::nullopt;

    bool operator==(const Calibration&) const = default;
};

/// What `take_over` took.
struct TakenOver {
    bool zones = false;
    bool shared = false;
    bool frequency = false;
};

/// What a new calibration has not measured stays as an older one of the same machine has it.
TakenOver take_over(Calibration& fresh, const Calibration& older);

}  // namespace virt_power

#endif
