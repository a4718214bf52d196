// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Governors and frequencies: /sys/devices/system/cpu/cpuN/cpufreq, ../intel_pstate and
/// ../cpufreq/boost, Documentation/admin-guide/pm/cpufreq.rst and intel_pstate.rst.
///
/// CPUs that share a clock share a policy: what is set for one of them holds for all of
/// them, and each KnobChange tells which these are.
#ifndef VIRT_POWER_HOST_CPUFREQ_HPP
#define VIRT_POWER_HOST_CPUFREQ_HPP

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kernel_file.hpp"
#include "knob_change.hpp"
#include "knob_journal.hpp"

namespace virt_power {

/// Absent: all CPUs that are online.
using CpuSelection = std::optional<std::vector<uint32_t>>;

/// Of one CPU. What its driver does not tell is absent or empty.
struct CpuFrequency {
    uint32_t cpu = 0;
    std::vector<uint32_t> policy_cpus;             ///< online CPUs that are set with it, itself included
    std::optional<std::string> driver;             ///< scaling_driver
    std::optional<std::string> governor;           ///< scaling_governor
    std::vector<std::string> governors;            ///< scaling_available_governors
    std::optional<uint64_t> current_khz;           ///< scaling_cur_freq
    std::optional<uint64_t> min_khz;               ///< scaling_min_freq
    std::optional<uint64_t> max_khz;               ///< scaling_max_freq
    std::optional<uint64_t> hardware_min_khz;      ///< cpuinfo_min_freq
    std::optional<uint64_t> hardware_max_khz;      ///< cpuinfo_max_freq
    std::optional<uint64_t> set_khz;               ///< scaling_setspeed, under the governor userspace
    std::vector<uint64_t> available_khz;           ///< scaling_available_frequencies
    std::optional<std::string> energy_preference;  ///< energy_performance_preference
    std::vector<std::string> energy_preferences;   ///< energy_performance_available_preferences
};

/// Of all CPUs together.
struct HostFrequency {
    std::optional<uint64_t> max_perf_percent;  ///< intel_pstate/max_perf_pct
    std::optional<uint64_t> min_perf_percent;  ///< intel_pstate/min_perf_pct
    std::optional<bool> turbo;                 ///< not intel_pstate/no_turbo, else cpufreq/boost
};

/// At least one of them.
struct FrequencyRequest {
    std::optional<uint64_t> min_khz;
    std::optional<uint64_t> max_khz;
    std::optional<uint64_t> set_khz;
    std::optional<std::string> energy_preference = std::nullopt;
    HostFrequency host = {};  ///< whatever the selection
};

/// Threads: any; one change at a time. Everything is read when it is asked for.
///
/// All throw KnobError. What can be wrong is looked for before anything is written. Over
/// several CPUs a change is all or nothing. What is returned was read back: the kernel
/// clamps and rounds in silence.
class Cpufreq {
public:
    /// \param root "/", or a tree that a test made
    /// \param journal must outlive it
    Cpufreq(const std::filesystem::path& root, KnobJournal& journal, WriteFile write_file = write_kernel_file,
            Sleep sleep = sleep_for);

    /// InvalidArgument: no such CPU. OperationInvalid: it is offline. Unsupported: none
    /// of them has a cpufreq driver.
    [[nodiscard]] std::vector<CpuFrequency> read(const CpuSelection& selection = {}) const;
    [[nodiscard]] HostFrequency read_host() const;
    /// scaling_cur_freq in kHz of the online CPUs that tell it.
    [[nodiscard]] std::map<uint32_t, uint64_t> read_current_khz() const;

    /// InvalidArgument if not every CPU of the selection offers it.
    std::vector<KnobChange> set_governor(const CpuSelection& selection, const std::string& governor);

    /// Within the hardware's limits, the minimum not above the maximum (the one that
    /// stands where only one is given), percentages from 1 to 100. OperationInvalid: set_khz
    /// without the governor userspace.
    std::vector<KnobChange> set_frequency(const CpuSelection& selection, const FrequencyRequest& request);

    /// Puts back what stood before this daemon's first change of these knobs; those of all
    /// CPUs together only without a selection. Without a selection offline CPUs have a
    /// failure each, and can be restored when they are back. Governors come first, then
    /// limits, then the frequency of the governor userspace, which the limits clamp.
    KnobRestore restore(const CpuSelection& selection, const std::vector<Knob>& knobs);

private:
    /// CPUs that are set together.
    struct Policy {
        std::filesystem::path directory;
        std::string place;           ///< in the journal
        std::vector<uint32_t> cpus;  ///< online
        std::string subject;
    };

    using Writes = std::vector<KnobWrite>;

    [[nodiscard]] std::vector<uint32_t> online() const;
    [[nodiscard]] std::vector<uint32_t> resolve(const CpuSelection& selection) const;
    [[nodiscard]] std::filesystem::path directory_of(uint32_t cpu) const;
    [[nodiscard]] bool has_driver(uint32_t cpu) const;
    /// Throws KnobError.
    void require_driver(uint32_t cpu) const;
    [[nodiscard]] Policy policy_of(uint32_t cpu) const;
    [[nodiscard]] std::vector<Policy> policies_of(const std::vector<uint32_t>& cpus) const;
    /// A directory of files for all CPUs.
    [[nodiscard]] Policy host_wide(const std::string& name) const;

    [[nodiscard]] KnobWrite write_to(const Policy& policy, Knob knob, const char* file,
                                     std::string value) const;
    [[nodiscard]] Writes word_writes(const CpuSelection& selection, Knob knob, const char* file,
                                     const char* offered_file, const std::string& word) const;
    [[nodiscard]] Writes frequency_writes(const Policy& policy, const FrequencyRequest& request) const;
    [[nodiscard]] Writes turbo_write(bool turbo) const;
    [[nodiscard]] Writes percent_writes(const HostFrequency& request) const;
    [[nodiscard]] Writes host_writes(const HostFrequency& request) const;

    [[nodiscard]] std::vector<Policy> recorded_policies(const CpuSelection& selection,
                                                        const std::vector<Knob>& knobs,
                                                        KnobRestore& result) const;
    /// Adds the write that puts a file back, if it is recorded.
    void add_recorded(const Policy& policy, Knob knob, const char* file, Writes& writes,
                      KnobRestore& result) const;
    void add_recorded_limits(const Policy& policy, Knob knob, const char* min_file, const char* max_file,
                             Writes& writes, KnobRestore& result) const;
    void run_restore(const Writes& writes, KnobRestore& result);
    void restore_policy(const Policy& policy, const std::vector<Knob>& knobs, KnobRestore& result);
    void restore_set_speed(const Policy& policy, bool wanted, KnobRestore& result);
    void restore_host(KnobRestore& result);

    std::filesystem::path base_;  ///< sys/devices/system/cpu
    KnobJournal& journal_;
    KnobRules rules_;
    std::mutex mutex_;
};

}  // namespace virt_power

#endif
