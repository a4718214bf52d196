// SPDX-License-Identifier: LGPL-2.1-or-later
#include "knob_change.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

using std::chrono::milliseconds;

/// For all late files of a change together. All of it goes by where the kernel makes of a new value what
/// stood.
constexpr milliseconds late_patience{500};
constexpr milliseconds longest_pause{16};

/// An error that came without the kernel's number is one all the same.
int number_of(const Error& error) { return error.error_number != 0 ? error.error_number : EIO; }

KnobAnswer read_back(const std::filesystem::path& path) {
    Result<std::string> text = read_kernel_file(path);
    if (!text) return {number_of(text.error()), {}};
    return {0, std::string(trim(*text))};
}

KnobAnswer write_and_read(const std::filesystem::path& path, std::string_view value,
                          const WriteFile& write_file, bool& taken) {
    Status written = write_file(path, value);
    taken = written.has_value();
    if (!written) return {number_of(written.error()), {}};
    return read_back(path);
}

/// A write that was done, and its answer.
struct DoneWrite {
    KnobWrite write;
    KnobAnswer answer;
};

/// Reads late files again until all of them have settled, or patience is over.
template <typename IsSettled>
void await(std::vector<DoneWrite>& done, const KnobRules& rules, IsSettled is_settled) {
    std::vector<DoneWrite*> late;
    for (DoneWrite& one : done)
        if (one.answer.error_number == 0 && rules.is_late(one.write)) late.push_back(&one);
    milliseconds waited{0}, pause{1};
    while (std::any_of(late.begin(), late.end(), [&](DoneWrite* one) { return !is_settled(*one); }) &&
           waited < late_patience) {
        rules.sleep(pause);
        waited += pause;
        pause = std::min(2 * pause, longest_pause);
        for (DoneWrite* one : late)
            if (!is_settled(*one)) one->answer = read_back(one->write.before.path);
    }
    // One that settled last may have changed what another one reads.
    for (DoneWrite* one : late) one->answer = read_back(one->write.before.path);
}

std::optional<KnobRefusal> judged(const KnobWrite& write, const KnobAnswer& answer, const KnobRules& rules) {
    std::optional<KnobRefusal> refusal = rules.judge(write, answer);
    return refusal ? refusal : refused_by_kernel(write, answer);
}

/// Writes what must stand there afterwards.
std::vector<DoneWrite> write_exactly(const std::vector<KnobWrite>& writes, const KnobRules& rules) {
    std::vector<DoneWrite> done;
    done.reserve(writes.size());
    bool taken = false;
    for (const KnobWrite& write : writes)
        done.push_back({write, write_and_read(write.before.path, write.value, rules.write_file, taken)});
    await(done, rules, [&](const DoneWrite& one) {
        return one.answer.error_number != 0 || rules.same(one.write, one.answer.after);
    });
    return done;
}

/// What is wrong with one of them.
std::optional<KnobRefusal> fault_of(const DoneWrite& done, const KnobRules& rules) {
    std::optional<KnobRefusal> refusal = judged(done.write, done.answer, rules);
    if (refusal || rules.same(done.write, done.answer.after)) return refusal;
    return KnobRefusal{KnobErrorKind::Failed, fmt::format("it reads {}", in_quotes(done.answer.after))};
}

/// The write that undoes another one.
KnobWrite back_to(const KnobValue& value, const KnobWrite& done) {
    return {done.subject, done.cpus,      {value.path, value.record}, value.record.value, {},
            done.zone,    done.constraint};
}

KnobChange change_of(const KnobWrite& write, std::string after) {
    const KnobRecord& before = write.before.record;
    return {write.subject, write.cpus,       before.file, before.value,
            write.value,   std::move(after), write.zone,  write.constraint};
}

std::string not_put_back(const KnobWrite& write, const KnobRefusal& refusal) {
    return fmt::format("{}: {} could not be put back to {}: {}", write.subject, write.before.record.file,
                       write.value, refusal.reason);
}

class Transaction {
public:
    Transaction(KnobJournal& journal, const KnobRules& rules) : journal_(journal), rules_(rules) {}

    std::vector<KnobChange> run(const std::vector<KnobWrite>& writes) {
        record(writes);
        std::vector<DoneWrite> done;
        for (const KnobWrite& write : writes) {
            bool taken = false;
            KnobAnswer answer = write_and_read(write.before.path, write.value, rules_.write_file, taken);
            if (taken) written_.push_back(&write);
            if (std::optional<KnobRefusal> refusal = judged(write, answer, rules_)) fail(write, *refusal);
            done.push_back({write, std::move(answer)});
        }
        await(done, rules_, [](const DoneWrite& one) {
            const KnobAnswer& answer = one.answer;
            return answer.error_number != 0 || answer.after == one.write.value ||
                   answer.after != one.write.before.record.value;
        });
        std::vector<KnobChange> changes;
        for (DoneWrite& one : done) {
            if (std::optional<KnobRefusal> refusal = judged(one.write, one.answer, rules_))
                fail(one.write, *refusal);
            changes.push_back(change_of(one.write, std::move(one.answer.after)));
        }
        return changes;
    }

private:
    void record(const std::vector<KnobWrite>& writes) {
        std::vector<KnobRecord> records;
        for (const KnobWrite& write : writes) {
            // What is asked for stands already: there will be nothing to restore.
            if (write.value == write.before.record.value) continue;
            records.push_back(write.before.record);
            for (const KnobValue& value : write.lost_with_it) records.push_back(value.record);
        }
        recorded_ = journal_.record(records);
    }

    [[noreturn]] void fail(const KnobWrite& write, const KnobRefusal& refusal) {
        std::string sentence = fmt::format("{}: cannot set {} to {}: {}", write.subject,
                                           write.before.record.file, write.value, refusal.reason);
        bool any = !written_.empty();
        std::string faults = put_all_back();
        if (faults.empty()) {
            journal_.forget(recorded_);
            sentence += any ? "; what was changed is put back" : "; nothing was changed";
        }
        throw KnobError(refusal.kind, sentence + faults);
    }

    std::string put_all_back() {
        std::vector<KnobWrite> back;
        for (; !written_.empty(); written_.pop_back()) {
            const KnobWrite& write = *written_.back();
            back.push_back(back_to(write.before, write));
            for (const KnobValue& value : write.lost_with_it) back.push_back(back_to(value, write));
        }
        std::string faults;
        for (const DoneWrite& done : write_exactly(back, rules_))
            if (std::optional<KnobRefusal> refusal = fault_of(done, rules_))
                faults += "; " + not_put_back(done.write, *refusal);
        return faults;
    }

    KnobJournal& journal_;
    const KnobRules& rules_;
    std::vector<KnobRecord> recorded_;       // by this change
    std::vector<const KnobWrite*> written_;  // the kernel took these
};

}  // namespace

std::optional<KnobRefusal> refused_by_kernel(const KnobWrite&, const KnobAnswer& answer) {
    if (answer.error_number == 0) return std::nullopt;
    return KnobRefusal{KnobErrorKind::Failed, error_text(answer.error_number)};
}

void sleep_for(milliseconds duration) { std::this_thread::sleep_for(duration); }

std::vector<KnobChange> apply_writes(const std::vector<KnobWrite>& writes, KnobJournal& journal,
                                     const KnobRules& rules) {
    return Transaction(journal, rules).run(writes);
}

KnobRestore restore_writes(const std::vector<KnobWrite>& writes, KnobJournal& journal,
                           const KnobRules& rules) {
    KnobRestore result;
    std::vector<KnobRecord> restored;
    for (DoneWrite& done : write_exactly(writes, rules)) {
        if (std::optional<KnobRefusal> refusal = fault_of(done, rules)) {
            result.failures.emplace_back(refusal->kind, not_put_back(done.write, *refusal));
            continue;
        }
        result.restored.push_back(change_of(done.write, std::move(done.answer.after)));
        restored.push_back(done.write.before.record);
    }
    journal.forget(restored);
    return result;
}

std::string read_knob(const std::filesystem::path& path) {
    Result<std::string> text = read_kernel_file(path);
    if (!text) throw KnobError(KnobErrorKind::Failed, text.error().message);
    return std::string(trim(*text));
}

std::optional<std::string> read_knob_if_any(const std::filesystem::path& path) {
    // A list of governors or frequencies may be longer than other files, never than a page.
    Result<std::string> text = read_kernel_file(path);
    if (!text) return std::nullopt;
    std::string_view value = trim(*text);
    if (value.empty() || value.starts_with('<')) return std::nullopt;
    return std::string(value);
}

std::optional<uint64_t> read_number_if_any(const std::filesystem::path& path) {
    Result<uint64_t> value = read_u64(path);
    if (!value) return std::nullopt;
    return *value;
}

bool is_there(const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

void require_writable(const std::filesystem::path& path, const std::string& subject) {
    Status writable = check_writable(path);
    if (writable) return;
    if (writable.error().kind == ErrorKind::Gone)
        throw KnobError(KnobErrorKind::Unsupported, fmt::format("{} has no {}: its driver does not offer it",
                                                                subject, path.filename().string()));
    throw KnobError(KnobErrorKind::Failed,
                    fmt::format("{}: {}; the daemon must run as root", subject, writable.error().message));
}

}  // namespace virt_power
