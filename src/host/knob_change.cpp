// SPDX-License-Identifier: LGPL-2.1-or-later
#include "knob_change.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

/// An error that came without the kernel's number is one all the same.
int number_of(const Error& error) { return error.error_number != 0 ? error.error_number : EIO; }

KnobAnswer write_and_read(const std::filesystem::path& path, std::string_view value,
                          const WriteFile& write_file, bool& taken) {
    Status written = write_file(path, value);
    taken = written.has_value();
    if (!written) return {number_of(written.error()), {}};
    Result<std::string> text = read_kernel_file(path);
    if (!text) return {number_of(text.error()), {}};
    return {0, std::string(trim(*text))};
}

std::optional<KnobRefusal> judged(const KnobWrite& write, const KnobAnswer& answer, const KnobRules& rules) {
    std::optional<KnobRefusal> refusal = rules.judge(write, answer);
    return refusal ? refusal : refused_by_kernel(write, answer);
}

/// Writes what must stand there afterwards.
std::optional<KnobRefusal> write_exactly(const KnobWrite& write, const KnobRules& rules, KnobAnswer& answer) {
    bool taken = false;
    answer = write_and_read(write.before.path, write.value, rules.write_file, taken);
    std::optional<KnobRefusal> refusal = judged(write, answer, rules);
    if (refusal || rules.same(write, answer.after)) return refusal;
    return KnobRefusal{KnobErrorKind::Failed, fmt::format("it reads {}", in_quotes(answer.after))};
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

class Transaction {
public:
    Transaction(KnobJournal& journal, const KnobRules& rules) : journal_(journal), rules_(rules) {}

    std::vector<KnobChange> run(const std::vector<KnobWrite>& writes) {
        record(writes);
        std::vector<KnobChange> changes;
        for (const KnobWrite& write : writes) {
            bool taken = false;
            KnobAnswer answer = write_and_read(write.before.path, write.value, rules_.write_file, taken);
            if (taken) written_.push_back(&write);
            if (std::optional<KnobRefusal> refusal = judged(write, answer, rules_)) fail(write, *refusal);
            changes.push_back(change_of(write, std::move(answer.after)));
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
        std::string faults;
        for (; !written_.empty(); written_.pop_back()) {
            const KnobWrite& write = *written_.back();
            std::vector<KnobValue> values = {write.before};
            values.insert(values.end(), write.lost_with_it.begin(), write.lost_with_it.end());
            KnobAnswer unused;
            for (const KnobValue& value : values)
                if (std::optional<KnobRefusal> refusal = write_exactly(back_to(value, write), rules_, unused))
                    faults += fmt::format("; {}: {} could not be put back to {}: {}", write.subject,
                                          value.record.file, value.record.value, refusal->reason);
        }
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

std::vector<KnobChange> apply_writes(const std::vector<KnobWrite>& writes, KnobJournal& journal,
                                     const KnobRules& rules) {
    return Transaction(journal, rules).run(writes);
}

KnobRestore restore_writes(const std::vector<KnobWrite>& writes, KnobJournal& journal,
                           const KnobRules& rules) {
    KnobRestore result;
    std::vector<KnobRecord> done;
    for (const KnobWrite& write : writes) {
        const KnobRecord& record = write.before.record;
        KnobAnswer answer;
        if (std::optional<KnobRefusal> refusal = write_exactly(write, rules, answer)) {
            result.failures.emplace_back(refusal->kind,
                                         fmt::format("{}: {} could not be put back to {}: {}", write.subject,
                                                     record.file, write.value, refusal->reason));
            continue;
        }
        result.restored.push_back(change_of(write, std::move(answer.after)));
        done.push_back(record);
    }
    journal.forget(done);
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
