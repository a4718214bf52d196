// SPDX-License-Identifier: LGPL-2.1-or-later
#include "usage_counter_bpf.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <utility>

#include "bpf/cpu_usage.h"
#include "clock.hpp"
#include "cpu_usage_program.h"
#include "cycle_events.hpp"
#include "domain_cgroup.hpp"
#include "kernel_file.hpp"
#include "usage_counter_proc.hpp"

namespace virt_power {
namespace {

/// Inode of the initial PID namespace (include/uapi/linux/nsfs.h).
constexpr ino_t initial_pid_namespace = 0xEFFFFFFC;
/// Where events fail all the time, opening others is no use more often.
constexpr uint64_t mend_period_ns = 10'000'000'000;

struct ProgramDeleter {
    void operator()(cpu_usage_program* program) const {
        cpu_usage_program_destroy(program);
        delete program;
    }
};
using Program = std::unique_ptr<cpu_usage_program, ProgramDeleter>;

/// libbpf's messages while it loads; the last one says why it failed.
thread_local std::string last_libbpf_message;

int keep_libbpf_message(enum libbpf_print_level level, const char* format, va_list arguments) {
    if (level != LIBBPF_WARN) return 0;
    std::array<char, 512> text{};
    int size = vsnprintf(text.data(), text.size(), format, arguments);
    if (size > 0) last_libbpf_message = trim(text.data());
    return size;
}

/// Takes libbpf's messages for as long as it lives; nothing else in the daemon uses libbpf.
class LibbpfMessages {
public:
    LibbpfMessages() : before_(libbpf_set_print(keep_libbpf_message)) { last_libbpf_message.clear(); }
    ~LibbpfMessages() { libbpf_set_print(before_); }
    LibbpfMessages(const LibbpfMessages&) = delete;
    LibbpfMessages& operator=(const LibbpfMessages&) = delete;

private:
    libbpf_print_fn_t before_;
};

Error libbpf_error(int error_number, std::string_view operation) {
    ErrorKind kind =
        error_number == EPERM || error_number == EACCES ? ErrorKind::Denied : ErrorKind::Unsupported;
    std::string detail = last_libbpf_message.empty() ? "" : fmt::format(" ({})", last_libbpf_message);
    return {kind, error_number,
            fmt::format("cannot {} the BPF program: {}{}", operation, strerrordesc_np(error_number), detail)};
}

/// How a domain is counted.
struct Owner {
    std::optional<uint32_t> slot;
    uint32_t tgid = 0;
    std::optional<uint64_t> cgroup_id;
    std::optional<ProcOwner> fallback;  ///< where the maps had no room
};

class BpfUsageCounter : public UsageCounter {
public:
    BpfUsageCounter(const CpuTopology& topology, BpfOptions options, Program program,
                    std::optional<CycleEvents> events)
        : topology_(topology),
          options_(std::move(options)),
          program_(std::move(program)),
          events_(std::move(events)),
          values_(static_cast<size_t>(libbpf_num_possible_cpus())) {
        for (uint32_t n = CPU_USAGE_MAX_DOMAINS; n > 0; n--)
            free_slots_.push_back(CPU_USAGE_SLOT_DOMAINS + n - 1);
    }

    Status start();

    [[nodiscard]] UsageSource source() const override { return UsageSource::Bpf; }
    [[nodiscard]] Status add(OwnerId id, const Process& process) override;
    std::optional<OwnerUsage> remove(OwnerId id) override;
    [[nodiscard]] Result<UsageReading> read() override;

private:
    void charge_running();
    void refresh_cpus();
    Status insert(Owner& owner, const Process& process);
    void insert_cgroup(Owner& owner, const Process& process);
    [[nodiscard]] Result<OwnerUsage> read_slot(uint32_t slot);
    [[nodiscard]] Result<OwnerUsage> usage_of(Owner& owner);
    [[nodiscard]] std::vector<uint64_t> read_gaps();
    void mend_events();
    void take_from_rest(std::vector<Usage>& rest, const UsageReading& reading);

    const CpuTopology& topology_;
    BpfOptions options_;
    Program program_;
    std::optional<CycleEvents> events_;
    std::vector<uint32_t> counted_cpus_;
    std::vector<uint64_t> gaps_;  ///< by CPU, at the last pass
    uint64_t mend_again_ns_ = 0;
    std::vector<cpu_usage_value> values_;  ///< one per possible CPU
    std::vector<uint32_t> free_slots_;
    std::unordered_map<OwnerId, Owner> owners_;
    uint64_t failed_inserts_ = 0;
    std::vector<uint64_t> removed_fallback_ns_;  ///< of owners counted from /proc that are gone, by package
    std::vector<uint64_t> rest_ns_;              ///< never decreases
};

Status BpfUsageCounter::start() {
    refresh_cpus();
    if (int error = cpu_usage_program_attach(program_.get()); error != 0)
        return libbpf_error(error, "attach");
    charge_running();  // from here on every CPU counts
    gaps_ = read_gaps();
    return ok();
}

/// Charges the running slice of each online CPU: a vCPU that spins alone may not switch for seconds.
void BpfUsageCounter::charge_running() {
    for (uint32_t cpu : topology_.online_cpus()) {
        LIBBPF_OPTS(bpf_test_run_opts, run);
        run.flags = BPF_F_TEST_RUN_ON_CPU;
        run.cpu = cpu;
        // A CPU that goes offline just now has nothing that runs.
        (void)bpf_prog_test_run_opts(program_->charge_running, &run);
    }
}

/// Opens cycle events on CPUs that came online, drops those of CPUs that left.
void BpfUsageCounter::refresh_cpus() {
    if (counted_cpus_ == topology_.online_cpus()) return;
    if (events_) events_->cover(topology_.online_cpus(), program_->cycle_events);
    counted_cpus_ = topology_.online_cpus();
}

/// Slices without cycles, by CPU.
std::vector<uint64_t> BpfUsageCounter::read_gaps() {
    std::vector<cpu_usage_state> states(values_.size());
    std::vector<uint64_t> gaps(values_.size());
    uint32_t zero = 0;
    if (bpf_map_lookup_elem(program_->states, &zero, states.data()) != 0) return gaps_.empty() ? gaps : gaps_;
    for (size_t cpu = 0; cpu < states.size(); cpu++) gaps[cpu] = states[cpu].gaps;
    return gaps;
}

/// An event that its CPU lost, by going offline for a moment say, never counts
/// again: where slices had no cycles, another one is opened.
void BpfUsageCounter::mend_events() {
    std::vector<uint64_t> gaps = read_gaps();
    uint64_t now_ns = boottime_ns();
    if (gaps != gaps_ && now_ns >= mend_again_ns_) {
        for (uint32_t cpu = 0; cpu < gaps.size(); cpu++)
            if (gaps[cpu] != gaps_[cpu]) events_->drop(cpu, program_->cycle_events);
        events_->cover(topology_.online_cpus(), program_->cycle_events);
        charge_running();  // the new events' first values; what came before them is a gap
        mend_again_ns_ = now_ns + mend_period_ns;
        gaps = read_gaps();
    }
    gaps_ = std::move(gaps);
}

Status BpfUsageCounter::insert(Owner& owner, const Process& process) {
    if (free_slots_.empty())
        return Error{ErrorKind::Transient, ENOSPC,
                     fmt::format("no room for more than {} domains", CPU_USAGE_MAX_DOMAINS)};
    uint32_t slot = free_slots_.back();
    std::fill(values_.begin(), values_.end(), cpu_usage_value{});
    if (bpf_map_update_elem(program_->usage, &slot, values_.data(), BPF_ANY) != 0)
        return system_error(errno, "write to", "BPF map usage");
    cpu_usage_owner value{};
    value.start_ns_min = process.start_ticks * tick_ns();
    value.start_ns_end = value.start_ns_min + tick_ns();
    value.slot = slot;
    owner.tgid = static_cast<uint32_t>(process.pid);
    if (bpf_map_update_elem(program_->owners, &owner.tgid, &value, BPF_ANY) != 0)
        return system_error(errno, "write to", "BPF map owners");
    free_slots_.pop_back();
    owner.slot = slot;
    return ok();
}

/// Helper processes and, on older kernels, vhost threads are only in the domain's cgroup.
void BpfUsageCounter::insert_cgroup(Owner& owner, const Process& process) {
    Result<DomainCgroup> cgroup = find_domain_cgroup(options_.root, process.pid);
    if (!cgroup) return;  // version 1, or none of its own: the process alone is counted
    int& level = *program_->cgroup_level;
    if (level != 0 && level != cgroup->level) return;
    uint32_t slot = *owner.slot;
    if (bpf_map_update_elem(program_->cgroup_owners, &cgroup->id, &slot, BPF_ANY) != 0) return;
    level = cgroup->level;
    owner.cgroup_id = cgroup->id;
}

Status BpfUsageCounter::add(OwnerId id, const Process& process) {
    (void)remove(id);
    Result<Process> found = find_process(options_.root, process.pid);
    if (!found) return found.error();
    if (!(*found == process))
        return Error{ErrorKind::Gone, 0, fmt::format("process {} has ended", process.pid)};
    Owner owner;
    charge_running();  // what it used before belongs to the rest of the host
    if (Status inserted = insert(owner, process)) {
        insert_cgroup(owner, process);
    } else {
        failed_inserts_++;
        options_.warn(fmt::format("process {} is counted from /proc: {} ({} so far)", process.pid,
                                  inserted.error().message, failed_inserts_));
        Result<ProcOwner> started = ProcOwner::start(options_.root, read_process_clock, process, topology_);
        if (!started) return started.error();
        owner.fallback = std::move(*started);
    }
    owners_.emplace(id, std::move(owner));
    return ok();
}

std::optional<OwnerUsage> BpfUsageCounter::remove(OwnerId id) {
    auto found = owners_.find(id);
    if (found == owners_.end()) return std::nullopt;
    Owner& owner = found->second;
    charge_running();
    if (owner.slot) {
        (void)bpf_map_delete_elem(program_->owners, &owner.tgid);
        if (owner.cgroup_id) (void)bpf_map_delete_elem(program_->cgroup_owners, &*owner.cgroup_id);
    }
    Result<OwnerUsage> usage = usage_of(owner);
    if (owner.slot) free_slots_.push_back(*owner.slot);
    if (owner.fallback && usage) {
        removed_fallback_ns_.resize(std::max(removed_fallback_ns_.size(), usage->packages.size()));
        for (size_t n = 0; n < usage->packages.size(); n++)
            removed_fallback_ns_[n] += usage->packages[n].time_ns;
    }
    owners_.erase(found);
    if (!usage) return std::nullopt;
    return std::move(*usage);
}

Result<OwnerUsage> BpfUsageCounter::read_slot(uint32_t slot) {
    if (bpf_map_lookup_elem(program_->usage, &slot, values_.data()) != 0)
        return system_error(errno, "read from", "BPF map usage");
    OwnerUsage usage;
    usage.source = UsageSource::Bpf;
    usage.packages.resize(topology_.package_ids().size());
    for (size_t cpu = 0; cpu < values_.size(); cpu++) {
        if (values_[cpu].time_ns == 0) continue;
        std::optional<uint32_t> package = topology_.package_of_cpu(static_cast<uint32_t>(cpu));
        if (!package) continue;
        usage.packages[*package].time_ns += values_[cpu].time_ns;
        if (events_)
            usage.packages[*package].cycles =
                usage.packages[*package].cycles.value_or(0) + values_[cpu].cycles;
    }
    if (events_)
        for (Usage& package : usage.packages) package.cycles = package.cycles.value_or(0);
    return usage;
}

Result<OwnerUsage> BpfUsageCounter::usage_of(Owner& owner) {
    if (owner.slot) return read_slot(*owner.slot);
    owner.fallback->read(topology_);
    OwnerUsage usage;
    usage.source = UsageSource::Proc;
    for (uint64_t ns : owner.fallback->packages_ns()) usage.packages.push_back({ns, std::nullopt});
    usage.packages.resize(topology_.package_ids().size());
    return usage;
}

Result<UsageReading> BpfUsageCounter::read() {
    refresh_cpus();
    charge_running();
    if (events_) mend_events();
    UsageReading reading;
    Result<OwnerUsage> rest = read_slot(CPU_USAGE_SLOT_REST);
    if (!rest) return rest.error();
    reading.rest = std::move(rest->packages);
    if (events_) {
        Result<OwnerUsage> idle = read_slot(CPU_USAGE_SLOT_IDLE);
        if (!idle) return idle.error();
        for (size_t n = 0; n < reading.rest.size(); n++)
            *reading.rest[n].cycles += idle->packages[n].cycles.value_or(0);
        reading.cycles_gaps = std::accumulate(gaps_.begin(), gaps_.end(), uint64_t{0});
    }
    reading.owners.reserve(owners_.size());
    for (auto& [id, owner] : owners_) {
        Result<OwnerUsage> usage = usage_of(owner);
        if (!usage) return usage.error();
        reading.owners.emplace(id, std::move(*usage));
    }
    take_from_rest(reading.rest, reading);
    return reading;
}

/// The program does not know the domains that are counted from /proc: it counted them as the rest.
void BpfUsageCounter::take_from_rest(std::vector<Usage>& rest, const UsageReading& reading) {
    std::vector<uint64_t> known_ns = removed_fallback_ns_;
    known_ns.resize(rest.size());
    rest_ns_.resize(rest.size());
    for (const auto& [id, usage] : reading.owners)
        if (usage.source == UsageSource::Proc)
            for (size_t n = 0; n < usage.packages.size(); n++) known_ns[n] += usage.packages[n].time_ns;
    for (size_t n = 0; n < rest.size(); n++) {
        if (rest[n].time_ns > known_ns[n]) rest_ns_[n] = std::max(rest_ns_[n], rest[n].time_ns - known_ns[n]);
        rest[n].time_ns = rest_ns_[n];
    }
}

Status check_pid_namespace(const std::filesystem::path& root) {
    struct stat status {};
    std::filesystem::path path = root / "proc/self/ns/pid";
    if (::stat(path.c_str(), &status) != 0) return system_error(errno, "read", path);
    if (status.st_ino == initial_pid_namespace) return ok();
    return Error{ErrorKind::Denied, 0,
                 "this daemon is in a PID namespace of its own, where pids are not the kernel's"};
}

}  // namespace

bool kvm_mediates_pmu(const std::filesystem::path& root) {
    for (const char* module : {"kvm", "kvm_intel", "kvm_amd"}) {
        Result<std::string> text =
            read_kernel_file(root / "sys/module" / module / "parameters/enable_mediated_pmu");
        if (text && (trim(*text) == "Y" || trim(*text) == "1")) return true;
    }
    return false;
}

Result<std::unique_ptr<UsageCounter>> make_bpf_usage_counter(const CpuTopology& topology,
                                                             BpfOptions options) {
    if (Status initial = check_pid_namespace(options.root); !initial) return initial.error();
    LibbpfMessages messages;
    std::optional<CycleEvents> events;
    if (options.cycles && !kvm_mediates_pmu(options.root))
        events = CycleEvents::probe(PerfSystem::kernel(), *options.cycles, topology.online_cpus());
    Program program(new cpu_usage_program{});
    if (int error = cpu_usage_program_load(program.get(), events ? 1 : 0); error != 0)
        return libbpf_error(error, "load");
    auto counter = std::make_unique<BpfUsageCounter>(topology, std::move(options), std::move(program),
                                                     std::move(events));
    if (Status started = counter->start(); !started) return started.error();
    return std::unique_ptr<UsageCounter>(std::move(counter));
}

}  // namespace virt_power
