// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// When to try again: after 1 s, then twice as long each time, at most 30 s.
#ifndef VIRT_POWER_CLIENT_BACK_OFF_HPP
#define VIRT_POWER_CLIENT_BACK_OFF_HPP

#include <algorithm>
#include <cstdint>

namespace virt_power {

class BackOff {
public:
    [[nodiscard]] bool may_try(int64_t now_ns) const { return now_ns >= next_ns_; }

    void failed(int64_t now_ns) {
        next_ns_ = now_ns + delay_ns_;
        delay_ns_ = std::min(delay_ns_ * 2, longest_ns);
    }

    void succeeded() {
        next_ns_ = 0;
        delay_ns_ = shortest_ns;
    }

private:
    static constexpr int64_t shortest_ns = 1'000'000'000;
    static constexpr int64_t longest_ns = 30'000'000'000;

    int64_t delay_ns_ = shortest_ns;
    int64_t next_ns_ = 0;
};

}  // namespace virt_power

#endif
