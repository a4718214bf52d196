// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A calibration file at work, static power and weights: the plugin's host-power-calibration.conf, or a
/// user's own one.
#ifndef VIRT_POWER_CALIBRATION_STATIC_POWER_HPP
#define VIRT_POWER_CALIBRATION_STATIC_POWER_HPP

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "calibration.hpp"
#include "virt-power/reading.hpp"

namespace virt_power {

/// Empty if a calibration belongs to the host at hand; else which key says that it does not.
using Belief = std::function<std::string(const Calibration&)>;

/// Measured on the machine with this machine-id(5).
Belief of_machine(std::string machine_id);
/// Measured on the host of this name.
Belief of_host(std::string host);

/// Reads the file again when it changed. Threads: any.
class StaticPower {
public:
    using Warn = std::function<void(std::string_view)>;

    /// \param now_ns a clock that never goes back
    StaticPower(std::filesystem::path file, Belief belief, std::function<uint64_t()> now_ns);

    /// Gives each zone that the file knows its static power. Looks at the file
    /// at most once a second. A zone of another source than the measured one gets none.
    /// `warn` gets each fault of a file once.
    void add(std::vector<ZoneReading>& zones, const Warn& warn);

    /// What the file says that use weighs; absent where it says nothing, or is not believed. Looks at the
    /// file like add(), which tells the faults that are found here.
    std::optional<Weighing> weighing();

private:
    /// What tells one content of the file from another, without reading it.
    struct Identity {
        int error = 0;  ///< why it cannot be looked at
        dev_t device = 0;
        ino_t inode = 0;
        off_t size = 0;
        int64_t changed_s = 0, changed_ns = 0;

        bool operator==(const Identity&) const = default;
    };

    [[nodiscard]] std::optional<Identity> identify() const;
    void look();
    void load(const std::optional<Identity>& identity);
    void tell_strays(const std::vector<ZoneReading>& zones, const Warn& warn);

    std::filesystem::path file_;
    Belief belief_;
    std::function<uint64_t()> now_ns_;
    std::mutex mutex_;
    std::optional<uint64_t> looked_ns_;
    std::optional<Identity> identity_;  ///< of what was read last; absent: there was no file
    std::optional<Identity> unread_;    ///< of what was there and could not be read
    std::map<std::string, ZoneStatic> zones_;
    std::optional<Weighing> weighing_;
    std::vector<std::string> untold_;  ///< faults, until somebody takes them
    std::set<std::string> told_;       ///< zones of this content that were warned of
};

}  // namespace virt_power

#endif
