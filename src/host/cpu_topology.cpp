// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cpu_topology.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace virt_power {

Result<int64_t> CpuTopology::read_package_id(uint32_t cpu) const {
    std::filesystem::path path =
        root_ / "sys/devices/system/cpu" / ("cpu" + std::to_string(cpu)) / "topology/physical_package_id";
    Result<uint64_t> id = read_u64(path);
    if (id && *id <= INT32_MAX) return static_cast<int64_t>(*id);
    if (!id && id.error().kind == ErrorKind::Transient) return id.error();
    // It went offline just now; or this architecture gives -1 or nothing: then the host is one package.
    std::optional<uint32_t> known = package_of_cpu(cpu);
    return known ? package_ids_[*known] : 0;
}

/// Pairs that name each other, so that a file that is wrong makes no pair.
Result<std::map<uint32_t, uint32_t>> CpuTopology::read_siblings(const std::vector<uint32_t>& cpus) const {
    std::map<uint32_t, uint32_t> other;
    for (uint32_t cpu : cpus) {
        std::filesystem::path path = root_ / "sys/devices/system/cpu" / ("cpu" + std::to_string(cpu)) /
                                     "topology/thread_siblings_list";
        Result<std::string> text = read_kernel_file(path);
        if (!text && text.error().kind == ErrorKind::Transient) return text.error();
        Result<std::vector<uint32_t>> threads =
            text ? parse_cpu_list(*text) : Result(std::vector<uint32_t>{});
        if (!threads) continue;
        std::erase_if(*threads, [&](uint32_t thread) {
            return thread == cpu || !std::binary_search(cpus.begin(), cpus.end(), thread);
        });
        if (threads->size() == 1) other[cpu] = threads->front();
    }
    std::erase_if(other, [&](const auto& pair) {
        auto back = other.find(pair.second);
        return back == other.end() || back->second != pair.first;
    });
    return other;
}

std::optional<uint32_t> CpuTopology::sibling_of(uint32_t cpu) const {
    auto found = siblings_.find(cpu);
    if (found == siblings_.end()) return std::nullopt;
    return found->second;
}

Result<bool> CpuTopology::refresh() {
    Result<std::string> text = online_file_.read();
    if (!text) return text.error();
    if (*text == online_text_) return false;
    Result<std::vector<uint32_t>> cpus = parse_cpu_list(*text);
    if (!cpus) return cpus.error();

    std::map<uint32_t, int64_t> id_of_cpu;
    std::set<int64_t> ids;
    for (uint32_t cpu : *cpus) {
        Result<int64_t> id = read_package_id(cpu);
        if (!id) return id.error();
        ids.insert(id_of_cpu[cpu] = *id);
    }
    Result<std::map<uint32_t, uint32_t>> siblings = read_siblings(*cpus);
    if (!siblings) return siblings.error();
    for (int64_t id : ids)
        if (!package_of_id(id)) package_ids_.push_back(id);
    for (auto [cpu, id] : id_of_cpu) package_of_cpu_[cpu] = *package_of_id(id);
    siblings_ = std::move(*siblings);
    online_ = std::move(*cpus);
    online_text_ = std::move(*text);
    return true;
}

void CpuTopology::resume(const std::vector<KnownCpu>& known) {
    std::map<uint32_t, int64_t> id_of_index;
    for (const KnownCpu& cpu : known) id_of_index.try_emplace(cpu.package, cpu.package_id);
    std::vector<int64_t> before = std::exchange(package_ids_, {});
    for (auto [index, id] : id_of_index)
        if (!package_of_id(id)) package_ids_.push_back(id);
    for (int64_t id : before)
        if (!package_of_id(id)) package_ids_.push_back(id);
    for (auto& [cpu, package] : package_of_cpu_) package = *package_of_id(before[package]);
    for (const KnownCpu& cpu : known) package_of_cpu_.try_emplace(cpu.cpu, *package_of_id(cpu.package_id));
}

std::optional<uint32_t> CpuTopology::package_of_cpu(uint32_t cpu) const {
    auto found = package_of_cpu_.find(cpu);
    if (found == package_of_cpu_.end()) return std::nullopt;
    return found->second;
}

std::optional<uint32_t> CpuTopology::package_of_id(int64_t physical_id) const {
    auto found = std::find(package_ids_.begin(), package_ids_.end(), physical_id);
    if (found == package_ids_.end()) return std::nullopt;
    return static_cast<uint32_t>(found - package_ids_.begin());
}

}  // namespace virt_power
