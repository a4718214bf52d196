// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The plugin as a daemon has it: loaded by its C ABI, told of domains, asked for snapshots.
#ifndef VIRT_POWER_POWER_HOST_METER_PLUGIN_HPP
#define VIRT_POWER_POWER_HOST_METER_PLUGIN_HPP

#include <sys/types.h>

#include <string>
#include <vector>

#include "virt-power/host_power_plugin.h"
#include "virt-power/sample.hpp"

namespace virt_power {

struct Vm {
    std::string uuid;  ///< lower-case, with dashes
    std::string name;
    pid_t pid = 0;
};

class Plugin {
public:
    /// Throws std::runtime_error where it cannot be loaded or opened.
    Plugin(const std::string& path, std::string config_directory);
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;
    ~Plugin();

    void start(const Vm& vm);
    void stop(const Vm& vm);
    /// As a daemon that ends; and as the next one, which goes on where that was.
    void close();
    void open(const std::vector<Vm>& running);
    [[nodiscard]] bool is_open() const { return power_ != nullptr; }

    /// What a client gets in one call: records of the running domains, host figures in the first.
    Sample sample(const std::vector<Vm>& running);

private:
    void open();

    const HostPowerPlugin* table_ = nullptr;
    HostPower* power_ = nullptr;
    std::string config_directory_;
};

}  // namespace virt_power

#endif
