// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The CPUs on which the BPF program counts: their cycle events, their siblings, and their counters summed
/// by package.
#ifndef VIRT_POWER_HOST_COUNTED_CPUS_HPP
#define VIRT_POWER_HOST_COUNTED_CPUS_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cpu_topology.hpp"
#include "cycle_events.hpp"
#include "usage_counter.hpp"
#include "usage_maps.hpp"

namespace virt_power {

class CountedCpus {
public:
    /// \param events nothing: no cycles are counted. The topology must outlive it.
    CountedCpus(const CpuTopology& topology, std::shared_ptr<UsageMaps> maps,
                std::optional<CycleEvents> events);

    /// Charges what runs on each CPU that the topology says is online until now. When it returns, no program
    /// that began before still runs.
    void charge_running();
    /// Follows CPUs that came and went. Opens other events where some were lost.
    void refresh();
    void weigh(const Weighing& weighing);

    /// What was used in a slot, by package, with its weight even where nothing is weighed yet.
    [[nodiscard]] OwnerUsage read_slot(uint32_t slot) const;
    /// The same, of as many packages as there are.
    void read_slot(uint32_t slot, std::span<Usage> packages, std::span<Usage> helpers) const;
    /// Gaps and what weights are made from.
    void add_sums(UsageReading& reading) const;
    [[nodiscard]] bool counts_cycles() const { return events_.has_value(); }
    /// Whether weight is anything else than time.
    [[nodiscard]] bool weighs() const { return events_.has_value() || has_siblings_; }

private:
    void charge_all();
    void charge_busy();
    void follow_online();
    void set_sibling(uint32_t cpu);
    [[nodiscard]] Weighing kept_weighing() const;
    [[nodiscard]] std::vector<uint64_t> read_gaps() const;
    void mend_events();

    const CpuTopology& topology_;
    std::shared_ptr<UsageMaps> maps_;
    std::optional<CycleEvents> events_;
    std::vector<uint32_t> online_;
    std::vector<std::optional<uint32_t>> package_of_cpu_;  ///< of each possible CPU
    bool has_siblings_ = false;                            ///< or had, since counting began
    Weighing weighing_;
    std::vector<uint64_t> gaps_;  ///< by CPU, at the last refresh
    bool mended_soon_ = false;
    uint64_t mend_again_ns_ = 0;
};

}  // namespace virt_power

#endif
