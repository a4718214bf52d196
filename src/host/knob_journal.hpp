// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What stood in each knob of the host before this daemon's first change of it, in
/// memory and in one small file, so that a restarted daemon can still put it back.
#ifndef VIRT_POWER_HOST_KNOB_JOURNAL_HPP
#define VIRT_POWER_HOST_KNOB_JOURNAL_HPP

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace virt_power {

/// What can be put back by itself. The words in the file are part of its format.
enum class Knob {
    Governor,
    Frequency,         ///< scaling_min_freq, scaling_max_freq, scaling_setspeed
    EnergyPreference,  ///< energy_performance_preference
    HostFrequency,     ///< of all CPUs at once: intel_pstate's percentages, turbo
    RaplLimit,
};

/// One kernel file and what stood there. Place and file are names that the knob's own
/// class looks up among those that it knows; they are never used as a path.
struct KnobRecord {
    Knob knob = Knob::Governor;
    std::string place;  ///< "cpu0" (the first CPU of a policy), "intel_pstate", "intel-rapl/package-0"
    std::string file;   ///< "scaling_governor", "constraint_0_power_limit_uw"
    std::string value;  ///< as the kernel wrote it

    bool operator==(const KnobRecord&) const = default;
};

inline constexpr std::string_view knob_journal_name = "host-power-knobs.json";
inline constexpr size_t max_knob_journal_size = size_t{4} << 20;

using KnobWarn = std::function<void(std::string_view)>;

/// Threads: any. A record is on the disk before record() returns.
class KnobJournal {
public:
    /// \param directory the daemon's state directory, made if missing
    /// \param boot_id see read_boot_id(); records of another boot, or of an unknown one,
    ///        are void: the kernel started with its own values since. Nothing is told of that.
    ///        A file that cannot be used is told of once, and the journal starts empty.
    KnobJournal(const std::filesystem::path& directory, std::string boot_id, KnobWarn warn);

    /// Keeps those whose place and file are not known yet, and returns them. Throws
    /// KnobError (Failed) if they cannot be written down; then none is kept.
    std::vector<KnobRecord> record(const std::vector<KnobRecord>& records);

    /// By place and file. What the disk then still says is told of.
    void forget(const std::vector<KnobRecord>& records);

    /// Those of some knobs, by place and file.
    [[nodiscard]] std::vector<KnobRecord> records(const std::vector<Knob>& knobs) const;
    [[nodiscard]] std::optional<KnobRecord> find(const std::string& place, const std::string& file) const;

private:
    using Key = std::tuple<std::string, std::string>;  // place, file

    void load();
    void save() const;

    std::filesystem::path file_;
    std::string boot_id_;
    KnobWarn warn_;
    mutable std::mutex mutex_;
    std::map<Key, KnobRecord> records_;
};

struct JournalContent {
    std::string boot_id;
    std::vector<KnobRecord> records;
};

/// JSON; what each of the names in it may be is checked. Absent if any of it is wrong:
/// half a journal would put back half of what belongs together.
std::optional<JournalContent> parse_knob_journal(std::string_view text);
std::string knob_journal_text(const JournalContent& content);

/// /proc/sys/kernel/random/boot_id, random(4). Empty if it cannot be read.
std::string read_boot_id(const std::filesystem::path& root);

}  // namespace virt_power

#endif
