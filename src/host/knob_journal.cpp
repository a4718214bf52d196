// SPDX-License-Identifier: LGPL-2.1-or-later
#include "knob_journal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "kernel_file.hpp"
#include "knob_error.hpp"
#include "small_file.hpp"

namespace virt_power {
namespace {

using nlohmann::json;

constexpr const char* format_name = "virt-power-knobs";
constexpr uint64_t format_version = 1;
constexpr size_t max_text = 128;

constexpr std::array<std::pair<const char*, Knob>, 5> knob_words{{{"governor", Knob::Governor},
                                                                  {"frequency", Knob::Frequency},
                                                                  {"preference", Knob::EnergyPreference},
                                                                  {"host", Knob::HostFrequency},
                                                                  {"rapl", Knob::RaplLimit}}};

const char* word_of(Knob knob) {
    for (const auto& [word, known] : knob_words)
        if (known == knob) return word;
    return "";
}

std::optional<Knob> knob_of(const std::string& given) {
    for (const auto& [word, knob] : knob_words)
        if (given == word) return knob;
    return std::nullopt;
}

/// One line of the kernel's, of a length that it writes.
bool is_plain(const std::string& text) {
    return !text.empty() && text.size() <= max_text &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

/// [knob, place, file, value]
std::optional<KnobRecord> record_of(const json& item) {
    if (!item.is_array() || item.size() != 4) return std::nullopt;
    std::array<std::string, 4> texts;
    for (size_t n = 0; n < texts.size(); n++) {
        if (!item[n].is_string()) return std::nullopt;
        texts[n] = item[n].get<std::string>();
        if (!is_plain(texts[n])) return std::nullopt;
    }
    std::optional<Knob> knob = knob_of(texts[0]);
    if (!knob) return std::nullopt;
    return KnobRecord{*knob, texts[1], texts[2], texts[3]};
}

bool is_string(const json& object, const char* key) {
    return object.contains(key) && object[key].is_string();
}

/// What replace_file() had not renamed yet when a daemon before this one was killed.
void remove_leftovers(const std::filesystem::path& file) {
    std::string prefix = "." + file.filename().string() + ".";
    std::error_code ignored;
    std::vector<std::filesystem::path> found;
    for (std::filesystem::directory_iterator each(file.parent_path(), ignored), end; !ignored && each != end;
         each.increment(ignored))
        if (each->path().filename().string().starts_with(prefix)) found.push_back(each->path());
    for (const std::filesystem::path& path : found) ::unlink(path.c_str());
}

}  // namespace

std::optional<JournalContent> parse_knob_journal(std::string_view text) {
    constexpr bool throws = false;
    const json root = json::parse(text.begin(), text.end(), nullptr, throws);
    if (!root.is_object() || !is_string(root, "format") || root["format"] != format_name) return std::nullopt;
    if (!root.contains("version") || root["version"] != format_version) return std::nullopt;
    if (!is_string(root, "boot_id") || !root.contains("records") || !root["records"].is_array())
        return std::nullopt;
    JournalContent content;
    content.boot_id = root["boot_id"].get<std::string>();
    if (!is_plain(content.boot_id)) return std::nullopt;
    std::set<std::pair<std::string, std::string>> seen;
    for (const json& item : root["records"]) {
        std::optional<KnobRecord> record = record_of(item);
        if (!record || !seen.emplace(record->place, record->file).second) return std::nullopt;
        content.records.push_back(*std::move(record));
    }
    return content;
}

std::string knob_journal_text(const JournalContent& content) {
    // One record in a line: for people who look.
    std::string records;
    for (const KnobRecord& record : content.records)
        records += (records.empty() ? "\n  " : ",\n  ") +
                   json::array({word_of(record.knob), record.place, record.file, record.value}).dump();
    return fmt::format("{{\"format\": {}, \"version\": {}, \"boot_id\": {}, \"records\": [{}]}}\n",
                       json(format_name).dump(), format_version, json(content.boot_id).dump(), records);
}

std::string read_boot_id(const std::filesystem::path& root) {
    Result<std::string> text = read_kernel_file(root / "proc/sys/kernel/random/boot_id");
    std::string id = text ? std::string(trim(*text)) : std::string();
    return is_plain(id) ? id : std::string();
}

KnobJournal::KnobJournal(const std::filesystem::path& directory, std::string boot_id, KnobWarn warn)
    : file_(directory / knob_journal_name), boot_id_(std::move(boot_id)), warn_(std::move(warn)) {
    if (!is_plain(boot_id_)) boot_id_.clear();
    load();
}

void KnobJournal::load() {
    remove_leftovers(file_);
    Result<std::string> text = read_small_file(file_, max_knob_journal_size);
    if (!text) {
        if (text.error().kind != ErrorKind::Gone)
            warn_(fmt::format("{}; what stood in the host's knobs before an earlier daemon is not known",
                              text.error().message));
        return;
    }
    std::optional<JournalContent> content = parse_knob_journal(*text);
    if (!content) {
        warn_(
            fmt::format("{} is cut off or not what this daemon wrote; it is ignored, and what stood in the "
                        "host's knobs before an earlier daemon is not known",
                        file_.string()));
        return;
    }
    if (boot_id_.empty() || content->boot_id != boot_id_) return;
    for (KnobRecord& record : content->records)
        records_.emplace(Key{record.place, record.file}, std::move(record));
}

/// Throws KnobError.
void KnobJournal::save() const {
    JournalContent content{boot_id_.empty() ? "unknown" : boot_id_, {}};
    for (const auto& [key, record] : records_) content.records.push_back(record);
    std::error_code ignored;  // replace_file() tells what is wrong
    std::filesystem::create_directories(file_.parent_path(), ignored);
    constexpr mode_t owner_only = 0600;
    Status saved = replace_file(file_, knob_journal_text(content), owner_only);
    if (!saved) throw KnobError(KnobErrorKind::Failed, saved.error().message);
}

std::vector<KnobRecord> KnobJournal::record(const std::vector<KnobRecord>& records) {
    std::lock_guard lock(mutex_);
    std::vector<KnobRecord> added;
    for (const KnobRecord& record : records)
        if (records_.emplace(Key{record.place, record.file}, record).second) added.push_back(record);
    if (added.empty()) return added;
    try {
        for (const KnobRecord& record : added)
            if (!is_plain(record.place) || !is_plain(record.file) || !is_plain(record.value))
                throw KnobError(KnobErrorKind::Failed, fmt::format("{} of {} reads {}", record.file,
                                                                   record.place, in_quotes(record.value)));
        save();
    } catch (const KnobError& error) {
        for (const KnobRecord& record : added) records_.erase(Key{record.place, record.file});
        throw KnobError(KnobErrorKind::Failed,
                        fmt::format("what stands now cannot be written down, so that it could be restored: "
                                    "{}; nothing was changed",
                                    error.what()));
    }
    return added;
}

void KnobJournal::forget(const std::vector<KnobRecord>& records) {
    std::lock_guard lock(mutex_);
    size_t before = records_.size();
    for (const KnobRecord& record : records) records_.erase(Key{record.place, record.file});
    if (records_.size() == before) return;
    try {
        save();
    } catch (const KnobError& error) {
        warn_(fmt::format("{}; after a restart the daemon takes what it says there for true", error.what()));
    }
}

std::vector<KnobRecord> KnobJournal::records(const std::vector<Knob>& knobs) const {
    std::lock_guard lock(mutex_);
    std::vector<KnobRecord> found;
    for (const auto& [key, record] : records_)
        if (std::find(knobs.begin(), knobs.end(), record.knob) != knobs.end()) found.push_back(record);
    return found;
}

std::optional<KnobRecord> KnobJournal::find(const std::string& place, const std::string& file) const {
    std::lock_guard lock(mutex_);
    auto found = records_.find(Key{place, file});
    if (found == records_.end()) return std::nullopt;
    return found->second;
}

}  // namespace virt_power
