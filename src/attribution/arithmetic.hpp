// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Integer arithmetic of the attribution: nothing overflows, nothing is lost.
#ifndef VIRT_POWER_ATTRIBUTION_ARITHMETIC_HPP
#define VIRT_POWER_ATTRIBUTION_ARITHMETIC_HPP

#include <algorithm>
#include <cstdint>
#include <limits>

#include "virt-power/reading.hpp"

namespace virt_power {

__extension__ using Uint128 = unsigned __int128;

/// a + b, at most the largest value.
constexpr uint64_t add_capped(uint64_t a, uint64_t b) {
    uint64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<uint64_t>::max() : sum;
}

/// a - b, at least 0.
constexpr uint64_t subtract_clamped(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

/// Weights are of cycles, or of nanoseconds where there are none: may these two be compared?
inline bool is_one_unit(const Usage& before, const Usage& now) {
    return before.cycles.has_value() == now.cycles.has_value();
}

/// What `power_uw` microwatts make of `duration_ns`, in microjoules, rounded down.
constexpr uint64_t energy_of(uint64_t power_uw, uint64_t duration_ns) {
    Uint128 energy = Uint128{power_uw} * duration_ns / 1'000'000'000U;
    return static_cast<uint64_t>(std::min<Uint128>(energy, std::numeric_limits<uint64_t>::max()));
}

/// Deals out an amount by weights that come one by one: the rows up to i have
/// floor(amount * sum of their weights / total). So all of it is dealt out
/// once the weights reach the total, and no row is off by more than one unit.
class Divider {
public:
    /// With a total of 0 every part is 0.
    constexpr Divider(uint64_t amount, uint64_t total) : amount_(amount), total_(total) {}

    constexpr uint64_t next(uint64_t weight) {
        if (total_ == 0) return 0;
        seen_ = std::min(add_capped(seen_, weight), total_);
        auto dealt = static_cast<uint64_t>(Uint128{amount_} * seen_ / total_);
        uint64_t part = dealt - dealt_;
        dealt_ = dealt;
        return part;
    }

private:
    uint64_t amount_, total_;
    uint64_t seen_ = 0, dealt_ = 0;
};

}  // namespace virt_power

#endif
