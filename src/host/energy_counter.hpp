// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Makes a monotone sum of a counter that wraps. Arithmetic only.
#ifndef VIRT_POWER_HOST_ENERGY_COUNTER_HPP
#define VIRT_POWER_HOST_ENERGY_COUNTER_HPP

#include <cstdint>
#include <optional>

namespace virt_power {

class EnergyCounter {
public:
    /// Where it stands, for one that goes on from there.
    struct State {
        std::optional<uint64_t> raw_uj;  ///< absent: what comes next starts anew
        uint64_t raw_ns = 0;
        uint64_t energy_uj = 0;
        uint64_t gaps = 0;
        bool moved = false;
    };

    /// \param range_uj value after which the counter starts again from 0; absent
    ///        if not known: then each step back is a gap
    /// \param max_power_uw more than the zone can ever draw: tells how long one
    ///        wrap takes at the least
    EnergyCounter(std::optional<uint64_t> range_uj, uint64_t max_power_uw);

    /// Takes a raw value, read at a time (any clock that never goes back). At most
    /// one wrap is inferred. Where there may have been more, or the step is more
    /// than the zone can draw, energy was lost: a gap, and counting goes on from here.
    void add(uint64_t raw_uj, uint64_t now_ns);

    /// Goes on from where another one stood. Without a raw value, what comes before the next one is a gap.
    void resume(const State& state);
    [[nodiscard]] State state() const;

    /// The next value starts anew: what comes before it is a gap.
    void interrupt();

    /// Since the first value.
    [[nodiscard]] uint64_t energy_uj() const { return energy_uj_; }
    /// The same at a time between the last two values, as if it grew evenly between them; at any other time
    /// that of the nearer one of the two.
    [[nodiscard]] uint64_t energy_uj_at(uint64_t time_ns) const;
    [[nodiscard]] uint64_t gaps() const { return gaps_; }
    /// The counter was seen to move: there is something behind it.
    [[nodiscard]] bool moved() const { return moved_; }
    /// How long one wrap takes at the least; absent without a range.
    [[nodiscard]] std::optional<uint64_t> wrap_ns() const { return wrap_ns_; }

private:
    [[nodiscard]] std::optional<uint64_t> step(uint64_t raw_uj, uint64_t elapsed_ns) const;

    std::optional<uint64_t> range_uj_;
    uint64_t max_power_uw_;
    std::optional<uint64_t> wrap_ns_;
    std::optional<uint64_t> last_uj_;
    uint64_t last_ns_ = 0;
    uint64_t energy_uj_ = 0;
    uint64_t before_ns_ = 0;  ///< of the value before the last one
    uint64_t before_energy_uj_ = 0;
    uint64_t gaps_ = 0;
    bool interrupted_ = false;
    bool moved_ = false;
};

}  // namespace virt_power

#endif
