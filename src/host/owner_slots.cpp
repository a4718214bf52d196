// SPDX-License-Identifier: LGPL-2.1-or-later
#include "owner_slots.hpp"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

cpu_usage_owner owner_of(uint32_t slot, const Process& process) {
    cpu_usage_owner owner{};
    owner.start_ns_min = process.start_ticks * tick_ns();
    owner.start_ns_end = owner.start_ns_min + tick_ns();
    owner.slot = slot;
    return owner;
}

void add(cpu_usage_value& to, const cpu_usage_value& from) {
    for (int n = 0; n < CPU_USAGE_PARTS; n++) {
        to.parts[n].time_ns += from.parts[n].time_ns;
        to.parts[n].cycles += from.parts[n].cycles;
        to.parts[n].weight += from.parts[n].weight;
    }
}

}  // namespace

OwnerSlots::OwnerSlots(std::shared_ptr<UsageMaps> maps) : maps_(std::move(maps)) {
    for (uint32_t slot = CPU_USAGE_SLOTS; slot > CPU_USAGE_SLOT_DOMAINS; slot--)
        if (maps_->domain(slot - 1).state == CPU_USAGE_FREE) free_.push_back(slot - 1);
}

/// Removes what a daemon left there that ended between two writes.
template <typename Key, typename Value, typename Keep>
void OwnerSlots::sweep(int map, Keep keep) {
    std::vector<Key> stale;
    Key key{};
    for (int more = bpf_map_get_next_key(map, nullptr, &key); more == 0;
         more = bpf_map_get_next_key(map, &key, &key)) {
        Value value{};
        if (bpf_map_lookup_elem(map, &key, &value) != 0 || !keep(key, value)) stale.push_back(key);
    }
    for (const Key& gone : stale) erase(map, &gone);
}

Status OwnerSlots::write(int map, const void* key, const void* value, const char* name) {
    if (bpf_map_update_elem(map, key, value, BPF_ANY) != 0)
        return system_error(errno, "write to", fmt::format("BPF map {}", name));
    maps_->owners_changed();
    return ok();
}

void OwnerSlots::erase(int map, const void* key) {
    (void)bpf_map_delete_elem(map, key);
    maps_->owners_changed();
}

std::vector<OwnedSlot> OwnerSlots::recover() {
    auto running = [&](uint32_t slot) -> const cpu_usage_domain* {
        return is_running(slot) ? &maps_->domain(slot) : nullptr;
    };
    sweep<uint32_t, cpu_usage_owner>(maps_->owners(), [&](uint32_t tgid, const cpu_usage_owner& owner) {
        const cpu_usage_domain* domain = running(owner.slot);
        if (domain && domain->pid != tgid)
            helpers_[owner.slot].push_back({static_cast<pid_t>(tgid), owner.start_ns_min / tick_ns()});
        return domain != nullptr;
    });
    sweep<uint64_t, uint32_t>(maps_->cgroup_owners(), [&](uint64_t id, uint32_t slot) {
        const cpu_usage_domain* domain = running(slot);
        return domain && domain->cgroup_id == id;
    });
    std::vector<OwnedSlot> found;
    for (uint32_t slot = CPU_USAGE_SLOT_DOMAINS; slot < CPU_USAGE_SLOTS; slot++) {
        cpu_usage_domain& domain = maps_->domain(slot);
        if (domain.state == CPU_USAGE_FREE) continue;
        OwnedSlot& owned = found.emplace_back();
        owned.slot = slot;
        owned.process = {static_cast<pid_t>(domain.pid), domain.start_ticks};
        owned.label.assign(domain.label, domain.label_size);
        if (domain.state == CPU_USAGE_ENDED) owned.ended_ns = domain.ended_ns;
        if (owned.ended_ns) continue;
        // Where that daemon ended between two writes.
        (void)own(slot, owned.process);
        (void)set_cgroup(slot, domain.cgroup_id);
    }
    return found;
}

Status OwnerSlots::own(uint32_t slot, const Process& process) {
    cpu_usage_owner owner = owner_of(slot, process);
    cpu_usage_owner other{};
    auto tgid = static_cast<uint32_t>(process.pid);
    // Of two that had one pid, one after the other, the later one has it now.
    bool known = bpf_map_lookup_elem(maps_->owners(), &tgid, &other) == 0;
    if (known && other.slot != slot && other.start_ns_min > owner.start_ns_min) return ok();
    if (known && std::memcmp(&other, &owner, sizeof(owner)) == 0) return ok();
    return write(maps_->owners(), &tgid, &owner, "owners");
}

Result<uint32_t> OwnerSlots::take(const Process& process, std::string_view label) {
    if (free_.empty())
        return Error{ErrorKind::Transient, ENOSPC,
                     fmt::format("no room for more than {} domains", CPU_USAGE_MAX_DOMAINS)};
    uint32_t slot = free_.back();
    cpu_usage_domain& domain = maps_->domain(slot);
    store_last(domain.state, unsigned{CPU_USAGE_CHANGING});
    for (uint32_t cpu = 0; cpu < maps_->cpu_count(); cpu++) maps_->value(cpu, slot) = {};
    domain.pid = static_cast<uint32_t>(process.pid);
    domain.start_ticks = process.start_ticks;
    domain.cgroup_id = 0;
    domain.ended_ns = 0;
    domain.label_size = static_cast<uint32_t>(std::min<size_t>(label.size(), CPU_USAGE_LABEL_SIZE));
    std::memcpy(domain.label, label.data(), domain.label_size);
    store_last(domain.state, unsigned{CPU_USAGE_RUNNING});
    if (Status owned = own(slot, process); !owned) {
        store_last(domain.state, unsigned{CPU_USAGE_FREE});
        return owned.error();
    }
    free_.pop_back();
    return slot;
}

bool OwnerSlots::is_running(uint32_t slot) const {
    return slot >= CPU_USAGE_SLOT_DOMAINS && slot < CPU_USAGE_SLOTS &&
           maps_->domain(slot).state == CPU_USAGE_RUNNING;
}

/// A cgroup that is said to be two domains' stays the first one's.
Status OwnerSlots::set_cgroup(uint32_t slot, uint64_t cgroup_id) {
    cpu_usage_domain& domain = maps_->domain(slot);
    if (domain.cgroup_id != cgroup_id) disown_cgroup(slot);
    domain.cgroup_id = 0;
    if (cgroup_id == 0) return ok();
    uint32_t other = slot;
    bool known = bpf_map_lookup_elem(maps_->cgroup_owners(), &cgroup_id, &other) == 0;
    if (known && other != slot && is_running(other))
        return Error{ErrorKind::Denied, 0, "its cgroup is another domain's"};
    if (!known || other != slot)
        if (Status written = write(maps_->cgroup_owners(), &cgroup_id, &slot, "cgroup_owners"); !written)
            return written;
    domain.cgroup_id = cgroup_id;
    return ok();
}

Status OwnerSlots::set_helpers(uint32_t slot, const std::vector<Process>& helpers) {
    auto found = helpers_.find(slot);
    if (found == helpers_.end()) {
        if (helpers.empty()) return ok();
        found = helpers_.try_emplace(slot).first;
    }
    for (const Process& gone : found->second)
        if (std::find(helpers.begin(), helpers.end(), gone) == helpers.end())
            disown(slot, static_cast<uint32_t>(gone.pid));
    found->second = helpers;
    Status all = ok();
    for (const Process& helper : helpers)
        if (Status owned = own_helper(slot, helper); !owned) all = owned;
    return all;
}

/// Unless it works for another domain, or is that domain: who may move processes between cgroups moves no
/// bills.
Status OwnerSlots::own_helper(uint32_t slot, const Process& process) {
    cpu_usage_owner other{};
    auto tgid = static_cast<uint32_t>(process.pid);
    if (bpf_map_lookup_elem(maps_->owners(), &tgid, &other) == 0 && other.slot != slot &&
        is_running(other.slot))
        return Error{ErrorKind::Denied, 0,
                     fmt::format("process {} in its cgroup is another domain's", process.pid)};
    return own(slot, process);
}

/// Unless it is another one's by now.
void OwnerSlots::disown(uint32_t slot, uint32_t tgid) {
    cpu_usage_owner owner{};
    if (bpf_map_lookup_elem(maps_->owners(), &tgid, &owner) == 0 && owner.slot == slot)
        erase(maps_->owners(), &tgid);
}

void OwnerSlots::disown_cgroup(uint32_t slot) {
    uint64_t id = maps_->domain(slot).cgroup_id;
    uint32_t owner = 0;
    if (id != 0 && bpf_map_lookup_elem(maps_->cgroup_owners(), &id, &owner) == 0 && owner == slot)
        erase(maps_->cgroup_owners(), &id);
}

void OwnerSlots::disown_all(uint32_t slot) {
    disown(slot, maps_->domain(slot).pid);
    (void)set_helpers(slot, {});
    helpers_.erase(slot);
    disown_cgroup(slot);
}

void OwnerSlots::end(uint32_t slot, uint64_t now_ns) {
    cpu_usage_domain& domain = maps_->domain(slot);
    disown_all(slot);
    domain.ended_ns = now_ns;
    store_last(domain.state, unsigned{CPU_USAGE_ENDED});
}

void OwnerSlots::forget(uint32_t slot) {
    cpu_usage_domain& domain = maps_->domain(slot);
    store_last(domain.state, unsigned{CPU_USAGE_CHANGING});
    for (uint32_t cpu = 0; cpu < maps_->cpu_count(); cpu++) {
        add(maps_->value(cpu, CPU_USAGE_SLOT_FORGOTTEN), maps_->value(cpu, slot));
        maps_->value(cpu, slot) = {};
    }
    store_last(domain.state, unsigned{CPU_USAGE_FREE});
    free_.push_back(slot);
}

}  // namespace virt_power
