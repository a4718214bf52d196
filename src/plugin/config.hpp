// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// host-power.conf, a GKeyFile beside qemu.conf.
#ifndef VIRT_POWER_PLUGIN_CONFIG_HPP
#define VIRT_POWER_PLUGIN_CONFIG_HPP

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "modelled_energy.hpp"

namespace virt_power {

/// What a read-only connection may see.
enum class ReadOnlyRule { Deny, Coarse, Full };

/// A coarse reading stands this long.
inline constexpr uint64_t coarse_interval_ns = 10'000'000'000;

enum class CounterChoice { Auto, Bpf, Proc };

struct Config {
    // [sources]
    bool powercap = true;
    bool perf = true;
    bool modelled = false;
    // [modelled]
    EnergyModel model{10'000'000, 5'000'000};
    // [access]
    ReadOnlyRule read_only = ReadOnlyRule::Deny;
    // [departed]
    uint32_t keep_seconds = 900;
    uint32_t keep_max = 256;
    // [usage]
    CounterChoice counter = CounterChoice::Auto;
    bool pin = true;  ///< counting goes on while the daemon is away
    // [host]
    std::filesystem::path root = "/";
    std::filesystem::path bpf_fs = "/sys/fs/bpf";
};

/// What the file says. A group, key or value that is wrong costs itself: a
/// warning names file, group and key, and the default serves. No file: all defaults.
Config load_config(const std::filesystem::path& file, const std::function<void(std::string_view)>& warn);

}  // namespace virt_power

#endif
