// SPDX-License-Identifier: LGPL-2.1-or-later
#include "usage_counter_proc.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

constexpr uint64_t ns_per_s = 1'000'000'000;
constexpr size_t proc_stat_limit = 4 << 20;  // a line for each CPU, one long line of interrupts

void grow(std::vector<uint64_t>& values, size_t size) {
    if (values.size() < size) values.resize(size);
}

}  // namespace

Result<uint64_t> read_process_clock(pid_t pid) {
    clockid_t clock{};
    timespec time{};
    int error = ::clock_getcpuclockid(pid, &clock);
    if (error == 0 && ::clock_gettime(clock, &time) == 0)
        return static_cast<uint64_t>(time.tv_sec) * ns_per_s + static_cast<uint64_t>(time.tv_nsec);
    return Error{ErrorKind::Gone, error ? error : errno, fmt::format("process {} has no CPU clock", pid)};
}

Result<ProcOwner> ProcOwner::start(std::filesystem::path root, ProcessClock clock, const Process& process,
                                   const CpuTopology& topology) {
    Result<Process> found = find_process(root, process.pid);
    if (!found) return found.error();
    if (!(*found == process))
        return Error{ErrorKind::Gone, 0, fmt::format("process {} has ended", process.pid)};
    Result<uint64_t> now_ns = clock(process.pid);
    if (!now_ns) return now_ns.error();
    ProcOwner owner(std::move(root), std::move(clock), process);
    owner.last_ns_ = *now_ns;
    owner.packages_ns_.resize(topology.package_ids().size());
    if (topology.package_ids().size() > 1) (void)owner.thread_weights(topology);
    return owner;
}

/// Ticks of each thread since the last call, summed by the package that it ran on last.
std::vector<uint64_t> ProcOwner::thread_weights(const CpuTopology& topology) {
    std::vector<uint64_t> weights(topology.package_ids().size());
    std::filesystem::path tasks = root_ / "proc" / std::to_string(process_.pid) / "task";
    std::map<std::string, uint64_t> ticks;
    for (const std::string& thread : list_directory(tasks)) {
        Result<std::string> text = read_kernel_file(tasks / thread / "stat");
        if (!text) continue;  // it ended meanwhile
        Result<ProcPidStat> stat = parse_proc_pid_stat(*text);
        if (!stat) continue;
        ticks[thread] = stat->cpu_ticks;
        uint64_t before = thread_ticks_.contains(thread) ? thread_ticks_[thread] : 0;
        if (auto package = topology.package_of_cpu(stat->processor); package && stat->cpu_ticks > before)
            weights[*package] += stat->cpu_ticks - before;
    }
    thread_ticks_ = std::move(ticks);
    return weights;
}

void ProcOwner::read(const CpuTopology& topology) {
    if (ended_) return;
    Result<Process> found = find_process(root_, process_.pid);
    Result<uint64_t> now_ns = clock_(process_.pid);
    if (!found || !(*found == process_) || !now_ns || *now_ns < last_ns_) {
        ended_ = true;
        return;
    }
    uint64_t delta_ns = *now_ns - last_ns_;
    last_ns_ = *now_ns;
    grow(packages_ns_, topology.package_ids().size());
    if (packages_ns_.size() == 1) {
        packages_ns_[0] += delta_ns;
        return;
    }
    std::vector<uint64_t> weights = thread_weights(topology);
    uint64_t sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
    if (sum == 0) {
        packages_ns_[0] += delta_ns;  // less than a tick in each thread
        return;
    }
    __extension__ using Wide = unsigned __int128;
    uint64_t cumulated = 0;
    uint64_t given_ns = 0;
    for (size_t n = 0; n < weights.size(); n++) {
        cumulated += weights[n];
        uint64_t until_ns = static_cast<uint64_t>(Wide{delta_ns} * cumulated / sum);
        packages_ns_[n] += until_ns - given_ns;
        given_ns = until_ns;
    }
}

OwnerUsage ProcOwner::usage(size_t packages) const {
    OwnerUsage usage;
    usage.source = UsageSource::Proc;
    for (uint64_t ns : packages_ns_) usage.packages.push_back({ns, std::nullopt});
    usage.packages.resize(std::max(packages, packages_ns_.size()));
    return usage;
}

ProcUsageCounter::ProcUsageCounter(std::filesystem::path root, const CpuTopology& topology,
                                   ProcessClock clock)
    : root_(std::move(root)), topology_(topology), clock_(std::move(clock)) {}

Status ProcUsageCounter::add(OwnerId owner, const Process& process, std::string_view /*label*/) {
    Result<ProcOwner> started = ProcOwner::start(root_, clock_, process, topology_);
    if (!started) return started.error();
    owners_.insert_or_assign(owner, std::move(*started));
    return ok();
}

std::optional<OwnerUsage> ProcUsageCounter::end(OwnerId owner, uint64_t /*now_ns*/) {
    auto found = owners_.find(owner);
    if (found == owners_.end()) return std::nullopt;
    found->second.read(topology_);
    const std::vector<uint64_t>& packages_ns = found->second.packages_ns();
    grow(removed_ns_, packages_ns.size());
    for (size_t n = 0; n < packages_ns.size(); n++) removed_ns_[n] += packages_ns[n];
    OwnerUsage usage = found->second.usage(topology_.package_ids().size());
    owners_.erase(found);
    return usage;
}

Result<UsageReading> ProcUsageCounter::read() {
    size_t packages = topology_.package_ids().size();
    grow(removed_ns_, packages);
    grow(rest_ns_, packages);
    UsageReading reading;
    reading.owners = OwnerUsages(packages);
    std::vector<uint64_t> owned_ns = removed_ns_;
    for (auto& [id, owner] : owners_) {
        owner.read(topology_);
        for (size_t n = 0; n < owner.packages_ns().size(); n++) owned_ns[n] += owner.packages_ns()[n];
        reading.owners.add(id, owner.usage(packages));
    }
    Result<std::string> text = read_kernel_file(root_ / "proc/stat", proc_stat_limit);
    if (!text) return text.error();
    auto busy = parse_proc_stat(*text);
    if (!busy) return busy.error();
    std::vector<uint64_t> busy_ns(packages);
    for (auto [cpu, ns] : *busy) {
        CpuBusy& known = cpus_.try_emplace(cpu, CpuBusy{ns, ns}).first->second;
        known.last_ns = std::max(known.last_ns, ns);
    }
    for (const auto& [cpu, known] : cpus_)
        if (auto package = topology_.package_of_cpu(cpu)) busy_ns[*package] += known.last_ns - known.base_ns;
    for (size_t n = 0; n < packages; n++) {
        if (busy_ns[n] > owned_ns[n]) rest_ns_[n] = std::max(rest_ns_[n], busy_ns[n] - owned_ns[n]);
        reading.rest.push_back({rest_ns_[n], std::nullopt});
    }
    return reading;
}

}  // namespace virt_power
