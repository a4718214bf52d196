// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calibration.hpp"

namespace virt_power {

std::string_view name_of(CalibrationMethod method) {
    switch (method) {
        case CalibrationMethod::Idle:
            return "idle";
        case CalibrationMethod::Recording:
            return "recording";
        case CalibrationMethod::Load:
            return "load";
    }
    return "";
}

TakenOver take_over(Calibration& fresh, const Calibration& older) {
    TakenOver taken;
    bool same =
        fresh.machine_id == older.machine_id && (!fresh.machine_id.empty() || fresh.host == older.host);
    if (!same) return taken;
    if (fresh.zones.empty() && !older.zones.empty()) {
        fresh.zones = older.zones;
        taken.zones = true;
    }
    if (!older.weights) return taken;
    const Weights& known = *older.weights;
    if (!fresh.weights) {
        fresh.weights = known;
        taken.shared = known.shared_deviation_permille.has_value();
        taken.frequency = known.square_deviation_permille.has_value();
        return taken;
    }
    if (!fresh.weights->shared_deviation_permille && known.shared_deviation_permille) {
        fresh.weights->shared_permille = known.shared_permille;
        fresh.weights->shared_deviation_permille = known.shared_deviation_permille;
        taken.shared = true;
    }
    if (!fresh.weights->square_deviation_permille && known.square_deviation_permille) {
        fresh.weights->cycle_permille = known.cycle_permille;
        fresh.weights->cycle_deviation_permille = known.cycle_deviation_permille;
        fresh.weights->square_permille = known.square_permille;
        fresh.weights->square_deviation_permille = known.square_deviation_permille;
        taken.frequency = true;
    }
    return taken;
}

}  // namespace virt_power
