// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The domains that run, and what those used that ended.
#ifndef VIRT_POWER_PLUGIN_DOMAIN_REGISTRY_HPP
#define VIRT_POWER_PLUGIN_DOMAIN_REGISTRY_HPP

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "flat_map.hpp"
#include "usage_counter.hpp"
#include "virt-power/reading.hpp"

namespace virt_power {

using Uuid = std::array<unsigned char, 16>;

std::string format_uuid(const Uuid& uuid);

/// Adds one usage to another by package; cycles and weights stay absent where either has none.
void add_usage(std::vector<Usage>& sum, std::span<const Usage> part);

struct DepartedDomain {
    Uuid uuid{};
    uint64_t ended_ns = 0;
    DomainUsage usage;
    OwnerId owner = 0;
};

/// Threads: the caller's lock.
class DomainRegistry {
public:
    struct Limits {
        uint64_t keep_ns = 0;
        size_t keep_max = 0;
    };
    struct Running {
        std::string name;
        Process process;
        OwnerId owner = 0;
    };

    explicit DomainRegistry(Limits limits) : limits_(limits) {}

    /// The one that ended first; nothing if none is known.
    std::optional<OwnerId> forget_oldest();

    [[nodiscard]] const FlatMap<Uuid, Running>& running() const { return running_; }
    [[nodiscard]] const Running* find(const Uuid& uuid) const { return running_.find(uuid); }
    void add(const Uuid& uuid, Running domain) { running_[uuid] = std::move(domain); }
    /// What was kept from a daemon before this one: sums of domains that are no longer listed.
    void add_totals(const std::vector<Usage>& forgotten) { add_usage(totals_, forgotten); }
    /// Moves a domain to the departed ones with what it used.
    void depart(const Uuid& uuid, const OwnerUsage& used, UsageSource host_source, uint64_t now_ns);

    /// Totals of all that ever ended, by package index; at least this many packages. Cycles and weights
    /// where `like` has them.
    [[nodiscard]] std::vector<Usage> departed_totals(size_t packages, const Usage& like) const;
    /// Those that ended lately, the latest last.
    [[nodiscard]] const std::deque<DepartedDomain>& departed() const { return departed_; }
    /// Forgets those that are too old or too many, whose owners these are.
    [[nodiscard]] std::vector<OwnerId> forget(uint64_t now_ns);

private:
    Limits limits_;
    FlatMap<Uuid, Running> running_;
    std::vector<Usage> totals_;
    std::deque<DepartedDomain> departed_;
};

/// A running domain's figures as they travel.
DomainUsage domain_usage(const Uuid& uuid, const DomainRegistry::Running& domain, const OwnerUsage& used,
                         UsageSource host_source);

}  // namespace virt_power

#endif
