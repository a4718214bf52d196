// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// All energy counters of the host: which of them add up to it, and their sums.
#ifndef VIRT_POWER_HOST_ZONE_SET_HPP
#define VIRT_POWER_HOST_ZONE_SET_HPP

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "clock.hpp"
#include "cpu_topology.hpp"
#include "energy_counter.hpp"
#include "energy_sensor.hpp"
#include "virt-power/reading.hpp"
#include "zone_memory.hpp"

namespace virt_power {

/// Threads: read() may hang in a sensor; all else may be called meanwhile. The
/// thread that hangs is given up by abandon(), and another one may then read.
class ZoneSet {
public:
    /// \param source_prefix stands before each source's name ("simulated-" in tests)
    /// \param memory where counters go on from, and where they are kept; may be null
    ZoneSet(const Sensors& sensors, std::string source_prefix, Warn warn,
            std::shared_ptr<ZoneMemory> memory = nullptr);

    /// Reads every sensor that is not given up. False if this very call was
    /// abandoned meanwhile: then the caller's thread must end.
    bool read(const Clock& now_ns);

    /// Gives up the sensor that read() is in, until it answers, and that call of
    /// read() with it. Returns its name, empty if no call was in a sensor.
    std::string abandon();

    /// Their energy at a time, best between the last two calls of read().
    [[nodiscard]] std::vector<ZoneReading> zones(const CpuTopology& topology, uint64_t time_ns) const;
    /// Some zone is counted.
    [[nodiscard]] bool any_counted() const;
    [[nodiscard]] bool empty() const { return zones_.empty(); }
    /// The shortest time in which a counter can wrap; absent if none has a range.
    [[nodiscard]] std::optional<uint64_t> shortest_wrap_ns() const;

private:
    struct Zone {
        std::shared_ptr<EnergySensor> sensor;
        EnergyCounter counter;
        bool readable = false;
        bool given_up = false;
        bool warned = false;
        bool counted = false;
    };

    void take(Zone& zone, const Result<uint64_t>& raw_uj, uint64_t now_ns);
    void choose_counted();
    void keep(const Zone& zone);

    mutable std::mutex mutex_;
    std::vector<Zone> zones_;
    std::string source_prefix_;
    Warn warn_;
    std::shared_ptr<ZoneMemory> memory_;
    uint64_t generation_ = 0;          ///< of the reading thread
    std::optional<size_t> in_sensor_;  ///< which sensor read() waits for
};

}  // namespace virt_power

#endif
