// SPDX-License-Identifier: LGPL-2.1-or-later
// Cpufreq: what stood before this daemon's first change. Places and files are looked up
// in the journal by names of ours, so that nothing in it becomes a path.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "cpufreq.hpp"
#include "cpufreq_files.hpp"
#include "kernel_file.hpp"

namespace virt_power {
namespace {

bool among(const std::vector<Knob>& knobs, Knob knob) {
    return std::find(knobs.begin(), knobs.end(), knob) != knobs.end();
}

bool is_cpu(const std::string& place) { return place.starts_with("cpu") && place != boost_directory; }

}  // namespace

/// Those that have something to restore.
std::vector<Cpufreq::Policy> Cpufreq::recorded_policies(const CpuSelection& selection,
                                                        const std::vector<Knob>& knobs,
                                                        KnobRestore& result) const {
    std::set<std::string> places;
    for (const KnobRecord& record : journal_.records(knobs))
        if (is_cpu(record.place)) places.insert(record.place);
    std::vector<uint32_t> cpus = resolve(selection);
    // Without a selection a CPU that has lost its driver must not hold up the others.
    if (!selection) std::erase_if(cpus, [this](uint32_t cpu) { return !has_driver(cpu); });
    std::vector<Policy> found;
    for (Policy& policy : policies_of(cpus))
        if (places.erase(policy.place) != 0) found.push_back(std::move(policy));
    if (selection) return found;
    for (const std::string& place : places)
        result.failures.emplace_back(
            KnobErrorKind::OperationInvalid,
            fmt::format("CPU {} is offline or has no cpufreq driver; what stood there is kept, restore it "
                        "when the CPU is back",
                        place.substr(3)));
    return found;
}

void Cpufreq::add_recorded(const Policy& policy, Knob knob, const char* file, Writes& writes,
                           KnobRestore& result) const {
    std::optional<KnobRecord> record = journal_.find(policy.place, file);
    if (!record) return;
    try {
        KnobWrite write = write_to(policy, knob, file, record->value);
        writes.push_back(std::move(write));
    } catch (const KnobError& error) {
        result.failures.push_back(error);
    }
}

/// In an order that never makes the minimum more than the maximum.
void Cpufreq::add_recorded_limits(const Policy& policy, Knob knob, const char* low_file,
                                  const char* high_file, Writes& writes, KnobRestore& result) const {
    std::optional<KnobRecord> record = journal_.find(policy.place, low_file);
    Result<uint64_t> low = record ? parse_u64(record->value) : Error{};
    std::optional<uint64_t> high = read_number_if_any(policy.directory / high_file);
    bool max_first = low && high && *low > *high;
    for (const char* file : {max_first ? high_file : low_file, max_first ? low_file : high_file})
        add_recorded(policy, knob, file, writes, result);
}

void Cpufreq::run_restore(const Writes& writes, KnobRestore& result) {
    KnobRestore part = restore_writes(writes, journal_, rules_);
    std::move(part.restored.begin(), part.restored.end(), std::back_inserter(result.restored));
    std::move(part.failures.begin(), part.failures.end(), std::back_inserter(result.failures));
}

void Cpufreq::restore_set_speed(const Policy& policy, bool wanted, KnobRestore& result) {
    std::optional<KnobRecord> record = journal_.find(policy.place, set_speed_file);
    if (!record) return;
    std::optional<std::string> governor = read_knob_if_any(policy.directory / governor_file);
    if (governor == userspace_governor) {
        Writes writes;
        if (wanted) add_recorded(policy, Knob::Frequency, set_speed_file, writes, result);
        return run_restore(writes, result);
    }
    // It means something only where userspace is still to come back.
    std::optional<KnobRecord> before = journal_.find(policy.place, governor_file);
    if (!before || before->value != userspace_governor) journal_.forget({*record});
}

void Cpufreq::restore_policy(const Policy& policy, const std::vector<Knob>& knobs, KnobRestore& result) {
    bool governor = among(knobs, Knob::Governor);
    bool frequency = among(knobs, Knob::Frequency);
    std::optional<KnobRecord> before = journal_.find(policy.place, governor_file);
    bool was_userspace = before && before->value == userspace_governor;
    Writes writes;
    if (governor) add_recorded(policy, Knob::Governor, governor_file, writes, result);
    if (among(knobs, Knob::EnergyPreference))
        add_recorded(policy, Knob::EnergyPreference, preference_file, writes, result);
    if (frequency) add_recorded_limits(policy, Knob::Frequency, min_file, max_file, writes, result);
    run_restore(writes, result);
    // Afterwards, since it depends on the governor that stands now, and the limits clamp it.
    if (governor || frequency) restore_set_speed(policy, frequency || was_userspace, result);
}

void Cpufreq::restore_host(KnobRestore& result) {
    Policy pstate = host_wide(pstate_directory);
    Writes writes;
    add_recorded(pstate, Knob::HostFrequency, no_turbo_file, writes, result);
    add_recorded(host_wide(boost_directory), Knob::HostFrequency, boost_file, writes, result);
    add_recorded_limits(pstate, Knob::HostFrequency, min_percent_file, max_percent_file, writes, result);
    run_restore(writes, result);
}

KnobRestore Cpufreq::restore(const CpuSelection& selection, const std::vector<Knob>& knobs) {
    std::lock_guard lock(mutex_);
    KnobRestore result;
    for (const Policy& policy : recorded_policies(selection, knobs, result))
        restore_policy(policy, knobs, result);
    if (!selection && among(knobs, Knob::HostFrequency)) restore_host(result);
    return result;
}

}  // namespace virt_power
