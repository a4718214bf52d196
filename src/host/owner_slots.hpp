// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Which slot of the BPF program's counters is whose: kept in its maps, so that a daemon that takes them
/// over knows it, too.
#ifndef VIRT_POWER_HOST_OWNER_SLOTS_HPP
#define VIRT_POWER_HOST_OWNER_SLOTS_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "domain_cgroup.hpp"
#include "process.hpp"
#include "usage_maps.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

struct OwnedSlot {
    uint32_t slot = 0;
    Process process;
    std::string label;
    std::optional<uint64_t> ended_ns;  ///< absent: it is counted
};

class OwnerSlots {
public:
    explicit OwnerSlots(std::shared_ptr<UsageMaps> maps);

    /// Of a daemon before this one. Counting goes on for those that have not ended.
    std::vector<OwnedSlot> recover();

    /// A slot that holds zeros, into which the process is counted from now on. Transient: there is no room.
    Result<uint32_t> take(const Process& process, std::string_view label);
    /// Other processes and kernel threads of that cgroup are counted, too; 0: of none. Denied: it is another
    /// domain's. Transient: there is no room.
    Status set_cgroup(uint32_t slot, uint64_t cgroup_id);
    /// These processes are counted, too, and no others beside its own. Errors as set_cgroup(), of one that is
    /// then left out.
    Status set_helpers(uint32_t slot, const std::vector<Process>& helpers);
    [[nodiscard]] bool full() const { return free_.empty(); }
    /// Nothing is counted there any more, once each CPU's running slice was charged again.
    void end(uint32_t slot, uint64_t now_ns);
    /// Adds what was used to CPU_USAGE_SLOT_FORGOTTEN. The slot is free then.
    void forget(uint32_t slot);

private:
    Status own(uint32_t slot, const Process& process);
    Status own_helper(uint32_t slot, const Process& process);
    [[nodiscard]] bool is_running(uint32_t slot) const;
    void disown(uint32_t slot, uint32_t tgid);
    void disown_cgroup(uint32_t slot);
    void disown_all(uint32_t slot);
    Status write(int map, const void* key, const void* value, const char* name);
    void erase(int map, const void* key);
    template <typename Key, typename Value, typename Keep>
    void sweep(int map, Keep keep);

    std::shared_ptr<UsageMaps> maps_;
    std::vector<uint32_t> free_;
    std::unordered_map<uint32_t, std::vector<Process>> helpers_;  ///< by slot
};

}  // namespace virt_power

#endif
