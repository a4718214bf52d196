// SPDX-License-Identifier: LGPL-2.1-or-later
#include "energy_counter.hpp"

#include <algorithm>

namespace virt_power {
namespace {

__extension__ using Wide = unsigned __int128;
constexpr uint64_t ns_per_s = 1'000'000'000;

/// Counters of some drivers are updated in steps of a millisecond or more: a
/// step back right after a reading may hold the energy of a little more time.
constexpr uint64_t update_slack_ns = 100'000'000;

}  // namespace

EnergyCounter::EnergyCounter(std::optional<uint64_t> range_uj, uint64_t max_power_uw)
    : range_uj_(range_uj), max_power_uw_(std::max<uint64_t>(max_power_uw, 1)) {
    if (range_uj_ && *range_uj_ == 0) range_uj_.reset();
    if (range_uj_) {
        Wide ns = Wide{*range_uj_} * ns_per_s / max_power_uw_;
        wrap_ns_ = ns > UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(ns);
    }
}

/// Energy between the last value and this one; nothing if that cannot be told.
std::optional<uint64_t> EnergyCounter::step(uint64_t raw_uj, uint64_t elapsed_ns) const {
    if (wrap_ns_ && elapsed_ns >= *wrap_ns_) return std::nullopt;
    uint64_t step_uj = 0;
    if (raw_uj >= *last_uj_)
        step_uj = raw_uj - *last_uj_;
    else if (range_uj_ && *last_uj_ <= *range_uj_)
        step_uj = *range_uj_ - *last_uj_ + raw_uj;
    else
        return std::nullopt;
    // More than it can draw: it was reset, or read wrongly.
    Wide possible_uj = Wide{max_power_uw_} * (Wide{elapsed_ns} + update_slack_ns) / ns_per_s;
    if (step_uj > possible_uj || step_uj > UINT64_MAX - energy_uj_) return std::nullopt;
    return step_uj;
}

void EnergyCounter::add(uint64_t raw_uj, uint64_t now_ns) {
    before_ns_ = last_ns_;
    before_energy_uj_ = energy_uj_;
    if (last_uj_) {
        std::optional<uint64_t> step_uj =
            interrupted_ ? std::nullopt : step(raw_uj, now_ns - std::min(now_ns, last_ns_));
        if (step_uj) {
            energy_uj_ += *step_uj;
            moved_ = moved_ || *step_uj > 0;
        } else {
            gaps_++;
        }
    }
    interrupted_ = false;
    last_uj_ = raw_uj;
    last_ns_ = now_ns;
}

uint64_t EnergyCounter::energy_uj_at(uint64_t time_ns) const {
    if (time_ns >= last_ns_) return energy_uj_;
    if (time_ns <= before_ns_) return before_energy_uj_;
    Wide part_uj = Wide{energy_uj_ - before_energy_uj_} * (time_ns - before_ns_) / (last_ns_ - before_ns_);
    return before_energy_uj_ + static_cast<uint64_t>(part_uj);
}

void EnergyCounter::resume(const State& state) {
    last_uj_ = state.raw_uj.value_or(0);
    last_ns_ = before_ns_ = state.raw_ns;
    energy_uj_ = before_energy_uj_ = state.energy_uj;
    gaps_ = state.gaps;
    moved_ = state.moved;
    interrupted_ = !state.raw_uj;
}

EnergyCounter::State EnergyCounter::state() const {
    return {interrupted_ ? std::nullopt : last_uj_, last_ns_, energy_uj_, gaps_, moved_};
}

void EnergyCounter::interrupt() { interrupted_ = last_uj_.has_value(); }

}  // namespace virt_power
