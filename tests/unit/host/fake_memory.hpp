// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What is kept of zones for the next daemon, in a map.
#ifndef VIRT_POWER_TESTS_FAKE_MEMORY_HPP
#define VIRT_POWER_TESTS_FAKE_MEMORY_HPP

#include <map>
#include <string>
#include <utility>

#include "zone_memory.hpp"

namespace virt_power {

class FakeMemory : public ZoneMemory {
public:
    [[nodiscard]] std::optional<EnergyCounter::State> find(std::string_view name,
                                                           std::string_view source) override {
        auto found = kept.find(key(name, source));
        return found == kept.end() ? std::nullopt : std::optional(found->second);
    }
    void keep(std::string_view name, std::string_view source, const EnergyCounter::State& state) override {
        kept[key(name, source)] = state;
    }
    static std::pair<std::string, std::string> key(std::string_view name, std::string_view source) {
        return {std::string(name), std::string(source)};
    }

    std::map<std::pair<std::string, std::string>, EnergyCounter::State> kept;
};

}  // namespace virt_power

#endif
