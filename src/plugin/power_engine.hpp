// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Takes snapshots in a thread of its own, so that a sensor that hangs holds up
/// nobody.
#ifndef VIRT_POWER_PLUGIN_POWER_ENGINE_HPP
#define VIRT_POWER_PLUGIN_POWER_ENGINE_HPP

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "config.hpp"
#include "log.hpp"
#include "usage_keeper.hpp"
#include "zone_set.hpp"

namespace virt_power {

/// All that one pass gave. Never changes once it is handed out.
struct Snapshot {
    bool valid = false;  ///< false: the pass could not read; nothing else is set
    HostReading host;    ///< without departed domains: who sees them is decided per call
    std::vector<DepartedDomain> departed;
    DomainUsages domains;

    [[nodiscard]] bool any_counted() const;
};

struct EngineOptions {
    bool modelled = false;
    EnergyModel model;
    Clock now_ns = boottime_ns;
    std::function<Sensors(const Warn&)> discover;  ///< in the engine's thread: may hang
    std::string source_prefix;
    /// Where zones go on from, and are kept; may be null.
    std::shared_ptr<ZoneMemory> zone_memory;
    /// What a cycle weighs, where that was measured; may be empty.
    std::function<std::optional<Weighing>()> weighing;
    /// Fills in what is known of the zones' static power; may be empty.
    std::function<void(std::vector<ZoneReading>&, const Warn&)> add_static;
    /// Reads what add_state() fills in; takes some milliseconds at the most. May be empty, as add_state.
    std::function<void()> refresh_state;
    /// Fills in frequencies and limits.
    std::function<void(HostReading&, const CpuTopology&)> add_state;
    Log log;
};

class PowerEngine {
public:
    PowerEngine(std::unique_ptr<UsageKeeper> usage, EngineOptions options);
    /// Waits for the thread, unless a sensor holds it.
    ~PowerEngine();
    PowerEngine(const PowerEngine&) = delete;
    PowerEngine& operator=(const PowerEngine&) = delete;

    [[nodiscard]] UsageKeeper& usage();

    /// Of a pass that began after this call did, shared with all calls that wait. Where the pass takes too
    /// long: the last finished one. Null before the first. Where there is no sensor, one of the calls takes
    /// the pass itself, and returns when it is done.
    [[nodiscard]] std::shared_ptr<const Snapshot> snapshot();

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

}  // namespace virt_power

#endif
