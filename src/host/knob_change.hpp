// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Changes of several kernel files as one: recorded first, read back, and put back if
/// one of them fails.
#ifndef VIRT_POWER_HOST_KNOB_CHANGE_HPP
#define VIRT_POWER_HOST_KNOB_CHANGE_HPP

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knob_error.hpp"
#include "knob_journal.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

/// write_kernel_file(), or what plays the kernel in a test.
using WriteFile = std::function<Status(const std::filesystem::path&, std::string_view)>;

/// What one write came to.
struct KnobChange {
    std::string subject;         ///< "CPU 3", "CPUs 2-3", "zone package-0, constraint long_term"
    std::vector<uint32_t> cpus;  ///< all that it holds for, also those not asked for; empty for a zone
    std::string file;            ///< as in KnobRecord
    std::string before;
    std::string asked;
    std::string after;       ///< read back: what the kernel made of it
    std::string zone;        ///< empty for CPUs
    std::string constraint;  ///< its name, else its index; empty for what has none
};

/// A file, and what stood or shall stand there.
struct KnobValue {
    std::filesystem::path path;
    KnobRecord record;
};

/// A write that is still to be done.
struct KnobWrite {
    std::string subject;
    std::vector<uint32_t> cpus;
    KnobValue before;
    std::string value;
    /// Written after `before` when it is put back: what the kernel forgets with the change.
    std::vector<KnobValue> lost_with_it;
    std::string zone = {};        ///< as in KnobChange
    std::string constraint = {};  ///< as in KnobChange
};

/// What the kernel answered to a write.
struct KnobAnswer {
    int error_number = 0;  ///< of the write; 0 if it was taken
    std::string after;     ///< read back; empty if the write failed
};

/// Is the answer a failure? Then its kind, and the reason for a sentence.
struct KnobRefusal {
    KnobErrorKind kind = KnobErrorKind::Failed;
    std::string reason;
};
using JudgeAnswer = std::function<std::optional<KnobRefusal>(const KnobWrite&, const KnobAnswer&)>;

/// Does a file that reads `after` hold what was written, but for the hardware's steps?
using SameValue = std::function<bool(const KnobWrite&, std::string_view after)>;

/// Does a file read the old value for some moments after the kernel took a write, or after one of another
/// file?
using IsLate = std::function<bool(const KnobWrite&)>;

/// sleep_for(), or what plays time in a test.
using Sleep = std::function<void(std::chrono::milliseconds)>;
void sleep_for(std::chrono::milliseconds duration);

/// How the files of one kernel interface behave.
struct KnobRules {
    WriteFile write_file;
    JudgeAnswer judge;
    SameValue same;
    IsLate is_late = [](const KnobWrite&) { return false; };
    Sleep sleep = sleep_for;
};

/// Failed, with the kernel's reason, if the write failed; else all is well.
std::optional<KnobRefusal> refused_by_kernel(const KnobWrite& write, const KnobAnswer& answer);

/// Writes all of them in order. On a failure those already written are put back, the
/// last one first, and a KnobError names the subject, the reason and what could not be
/// put back. What stands is in the journal before the first write, and leaves it again
/// if all was put back.
std::vector<KnobChange> apply_writes(const std::vector<KnobWrite>& writes, KnobJournal& journal,
                                     const KnobRules& rules);

/// What a restore came to: each one for itself, since half of it is better than none.
struct KnobRestore {
    std::vector<KnobChange> restored;  ///< no longer in the journal
    std::vector<KnobError> failures;   ///< these still are
};

/// Writes each one's `value`, which comes from the journal, and forgets it there if it stands.
KnobRestore restore_writes(const std::vector<KnobWrite>& writes, KnobJournal& journal,
                           const KnobRules& rules);

/// What stands in a file now, trimmed. Throws KnobError (Failed).
std::string read_knob(const std::filesystem::path& path);
/// Absent if it cannot be read, is empty, or says that there is none ("<unsupported>").
std::optional<std::string> read_knob_if_any(const std::filesystem::path& path);
std::optional<uint64_t> read_number_if_any(const std::filesystem::path& path);

/// Also where it cannot be read.
bool is_there(const std::filesystem::path& path);

/// Throws KnobError: Unsupported if the file is not there, Failed if this process may not write it.
void require_writable(const std::filesystem::path& path, const std::string& subject);

}  // namespace virt_power

#endif
