// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rapl_limits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <utility>

#include "kernel_file.hpp"
#include "powercap.hpp"

namespace virt_power {
namespace {

constexpr std::string_view rapl = "intel-rapl";
constexpr uint32_t most_constraints = 10;  // the kernel's own bound
/// What the limit's 15 bits hold in the usual unit, 1/8 W. The kernel cuts off what is
/// above it, so that a huge limit would become a small one.
constexpr uint64_t highest_limit_uw = 4'095'875'000;
/// The longest window: 7/4 of 2^31 units of 976 us.
constexpr uint64_t highest_window_us = 3'667'902'070'784;
/// No driver rounds a limit by more.
constexpr uint64_t power_step_uw = 1'000'000;
/// A window is (1 + f/4) 2^y units of about a millisecond, f being 0 to 3.
constexpr uint64_t window_parts = 4;
constexpr uint64_t window_unit_us = 1000;

constexpr std::string_view power_limit = "power_limit_uw";
constexpr std::string_view time_window = "time_window_us";
constexpr std::string_view enabled_file = "enabled";

uint64_t difference(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

/// Can the hardware's steps alone make the one of the other?
bool is_rounded(const KnobWrite& write, std::string_view after) {
    if (after == write.value) return true;
    Result<uint64_t> asked = parse_u64(write.value);
    Result<uint64_t> got = parse_u64(after);
    if (!asked || !got) return false;
    std::string_view file = write.before.record.file;
    if (file.ends_with(power_limit)) return difference(*asked, *got) < power_step_uw;
    if (file.ends_with(time_window))
        return difference(*asked, *got) <= std::max(*got / window_parts, window_unit_us);
    return false;
}

/// The powercap core makes ENODATA, or ENOSYS for the switch, of the driver's own
/// EACCES; the MSR's lock bit, where the driver does not look at it, gives EIO.
bool means_locked(int error_number) {
    for (int known : {EACCES, EPERM, EIO, ENODATA, ENOSYS, EOPNOTSUPP})
        if (error_number == known) return true;
    return false;
}

/// A limit of 0 is none that anybody asks for; to put one back is another thing.
bool is_made_zero(const KnobWrite& write, const KnobAnswer& answer) {
    return answer.error_number == 0 && write.before.record.file.ends_with(power_limit) &&
           answer.after == "0" && write.value != "0";
}

std::optional<KnobRefusal> judge(const KnobWrite& write, const KnobAnswer& answer) {
    bool refused = means_locked(answer.error_number);
    bool ignored = answer.error_number == 0 && answer.after == write.before.record.value &&
                   !is_rounded(write, answer.after);
    if (is_made_zero(write, answer))
        return KnobRefusal{KnobErrorKind::InvalidArgument,
                           "the hardware makes 0 of it; its steps are larger"};
    if (refused)
        return KnobRefusal{KnobErrorKind::OperationInvalid,
                           fmt::format("it is locked by firmware ({})", error_text(answer.error_number))};
    if (ignored)
        return KnobRefusal{KnobErrorKind::OperationInvalid,
                           "it is locked by firmware (the kernel took it, and nothing changed)"};
    return refused_by_kernel(write, answer);
}

/// Exact: "18.125 W".
std::string in_watts(uint64_t uw) {
    constexpr uint64_t uw_per_w = 1'000'000;
    std::string text = fmt::format("{}.{:06}", uw / uw_per_w, uw % uw_per_w);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text + " W";
}

KnobError invalid(const std::string& sentence) { return {KnobErrorKind::InvalidArgument, sentence}; }

KnobError no_zones() {
    return {KnobErrorKind::Unsupported,
            "this host has no RAPL zones: its processor has none, or intel_rapl_msr is not loaded"};
}

std::string subject_of(const RaplZone& zone) { return "zone " + zone.name; }

std::string name_of(const RaplConstraint& constraint) {
    return constraint.name.empty() ? fmt::format("{}", constraint.index) : constraint.name;
}

/// Of the whole zone where there is no constraint.
std::string subject_of(const RaplZone& zone, const RaplConstraint* constraint) {
    if (!constraint) return subject_of(zone);
    return fmt::format("zone {}, constraint {}", zone.name, name_of(*constraint));
}

/// Of an MMIO zone the name of the MSR's; else empty.
std::string mirrored_by(const PowercapZone& zone) {
    std::string prefix = zone.control_type + "/";
    if (zone.control_type == rapl || !zone.name.starts_with(prefix)) return {};
    return zone.name.substr(prefix.size());
}

/// In the journal a zone has its name: directories are numbered anew when packages go and come.
std::string place_of(const RaplZone& zone) {
    return zone.also_selected_by.empty() ? fmt::format("{}/{}", rapl, zone.name) : zone.name;
}

std::string kernel_file_of(const RaplConstraint& constraint, std::string_view what) {
    return fmt::format("constraint_{}_{}", constraint.index, what);
}

bool is_selected(const RaplZone& zone, const ZoneSelection& selection) {
    if (!selection) return parse_package_name(zone.own_name).has_value();
    return std::any_of(selection->begin(), selection->end(), [&](const std::string& name) {
        return !name.empty() && (name == zone.name || name == zone.also_selected_by);
    });
}

bool is_called(const RaplConstraint& constraint, const std::string& name) {
    return (!constraint.name.empty() && name == constraint.name) ||
           name == fmt::format("{}", constraint.index);
}

const RaplConstraint* find_constraint(const RaplZone& zone, const RaplRequest& request) {
    for (const RaplConstraint& constraint : zone.constraints)
        if (request.constraint ? is_called(constraint, *request.constraint) : constraint.index == 0)
            return &constraint;
    return nullptr;
}

bool sets_constraint(const RaplRequest& request) { return request.power_limit_uw || request.time_window_us; }

void check_request(const RaplRequest& request) {
    if (!sets_constraint(request) && !request.enabled) throw invalid("nothing to set was given");
    if (request.enabled && request.constraint)
        throw invalid("the kernel has one switch for a whole zone; leave out the constraint");
    if (request.power_limit_uw == uint64_t{0}) throw invalid("a power limit of 0 cannot be set");
    if (request.time_window_us == uint64_t{0}) throw invalid("a time window of 0 cannot be set");
}

/// Some zone must have what is asked for; MMIO may have fewer constraints than the MSR.
void check_constraint(const std::vector<RaplZone>& zones, const RaplRequest& request) {
    std::vector<std::string> known;
    for (const RaplZone& zone : zones) {
        if (find_constraint(zone, request)) return;
        for (const RaplConstraint& constraint : zone.constraints) {
            std::string text = fmt::format("{} ({})", constraint.index, constraint.name);
            if (std::find(known.begin(), known.end(), text) == known.end()) known.push_back(text);
        }
    }
    if (known.empty())
        throw KnobError(KnobErrorKind::Unsupported,
                        fmt::format("{} has no power limits", subject_of(zones.front())));
    std::string list;
    for (const std::string& text : known) list += (list.empty() ? "" : ", ") + text;
    throw invalid(fmt::format("{} has no constraint {}; there are: {}", subject_of(zones.front()),
                              in_quotes(request.constraint.value_or("0")), list));
}

/// Each MMIO zone comes behind the zone of which it is another way to the same.
std::vector<RaplZone> with_mirrors(const std::vector<RaplZone>& zones) {
    std::vector<RaplZone> sorted;
    for (const RaplZone& zone : zones) {
        if (!zone.also_selected_by.empty()) continue;
        sorted.push_back(zone);
        for (const RaplZone& mirror : zones)
            if (mirror.also_selected_by == zone.name) sorted.push_back(mirror);
    }
    for (const RaplZone& zone : zones)
        if (std::none_of(sorted.begin(), sorted.end(),
                         [&](const RaplZone& known) { return known.directory == zone.directory; }))
            sorted.push_back(zone);
    return sorted;
}

}  // namespace

RaplLimits::RaplLimits(const std::filesystem::path& root, KnobJournal& journal, KnobWarn warn,
                       WriteFile write_file)
    : root_(root),
      base_(root / powercap_directory),
      journal_(journal),
      warn_(std::move(warn)),
      rules_{std::move(write_file), judge, is_rounded} {}

/// Its limits; the names come from the list of zones.
RaplZone RaplLimits::zone_at(const std::string& directory) const {
    RaplZone zone;
    zone.directory = directory;
    if (std::optional<uint64_t> enabled = read_number_if_any(base_ / directory / enabled_file))
        zone.enabled = *enabled != 0;
    for (uint32_t index = 0; index < most_constraints; index++) {
        RaplConstraint constraint;
        constraint.index = index;
        auto at = [&](std::string_view what) { return base_ / directory / kernel_file_of(constraint, what); };
        // Its file is there even where it cannot be read.
        if (!is_there(at(power_limit))) continue;
        constraint.name = read_knob_if_any(at("name")).value_or("");
        constraint.power_limit_uw = read_number_if_any(at(power_limit));
        constraint.time_window_us = read_number_if_any(at(time_window));
        constraint.max_power_uw = read_number_if_any(at("max_power_uw"));
        zone.constraints.push_back(std::move(constraint));
    }
    return zone;
}

std::vector<RaplZone> RaplLimits::zones() const {
    std::vector<RaplZone> zones;
    for (const PowercapZone& listed : list_powercap_zones(root_, warn_)) {
        if (!listed.control_type.starts_with(rapl)) continue;
        RaplZone zone = zone_at(listed.directory);
        zone.name = listed.name;
        zone.own_name = listed.own_name;
        zone.also_selected_by = mirrored_by(listed);
        zones.push_back(std::move(zone));
    }
    return with_mirrors(zones);
}

std::vector<RaplZone> RaplLimits::read(const std::optional<std::string>& name) const {
    if (name) return select(std::vector<std::string>{*name});
    std::vector<RaplZone> all = zones();
    if (all.empty()) throw no_zones();
    return all;
}

std::vector<RaplZone> RaplLimits::select(const ZoneSelection& selection) const {
    std::vector<RaplZone> all = zones();
    if (all.empty()) throw no_zones();
    if (selection && selection->empty()) throw invalid("the list of zones is empty");
    std::string names;
    for (const RaplZone& zone : all) names += (names.empty() ? "" : ", ") + zone.name;
    for (const std::string& name : selection.value_or(std::vector<std::string>{}))
        if (std::none_of(all.begin(), all.end(), [&](const RaplZone& zone) {
                return is_selected(zone, std::vector<std::string>{name});
            }))
            throw invalid(fmt::format("there is no zone {}; there are: {}", in_quotes(name), names));
    std::erase_if(all, [&](const RaplZone& zone) { return !is_selected(zone, selection); });
    if (all.empty())
        throw KnobError(KnobErrorKind::Unsupported,
                        fmt::format("this host has no zone of a package; there are: {}", names));
    return all;
}

KnobWrite RaplLimits::write_to(const RaplZone& zone, const RaplConstraint* constraint,
                               const std::string& file, std::string value) const {
    std::filesystem::path path = base_ / zone.directory / file;
    std::string subject = subject_of(zone, constraint);
    require_writable(path, subject);
    KnobRecord before{Knob::RaplLimit, place_of(zone), file, read_knob(path)};
    return {
        subject, {}, {path, before}, std::move(value), {}, zone.name, constraint ? name_of(*constraint) : ""};
}

std::vector<KnobWrite> RaplLimits::constraint_writes(const RaplZone& zone, const RaplConstraint& constraint,
                                                     const RaplRequest& request) const {
    std::string subject = subject_of(zone, &constraint);
    uint64_t max_uw = constraint.max_power_uw.value_or(0);
    uint64_t highest_uw = max_uw != 0 ? max_uw : highest_limit_uw;
    if (request.power_limit_uw.value_or(0) > highest_uw)
        throw invalid(fmt::format("{}: {} is above the highest power that it takes, {}", subject,
                                  in_watts(*request.power_limit_uw), in_watts(highest_uw)));
    if (request.time_window_us && !constraint.time_window_us)
        throw KnobError(KnobErrorKind::Unsupported, fmt::format("{} has no time window", subject));
    if (request.time_window_us.value_or(0) > highest_window_us)
        throw invalid(fmt::format("{}: {} us is above the longest time window, {} us", subject,
                                  *request.time_window_us, highest_window_us));
    std::vector<KnobWrite> writes;
    auto add = [&](std::string_view what, const std::optional<uint64_t>& value) {
        if (!value) return;
        writes.push_back(
            write_to(zone, &constraint, kernel_file_of(constraint, what), fmt::format("{}", *value)));
    };
    add(power_limit, request.power_limit_uw);
    add(time_window, request.time_window_us);
    return writes;
}

std::vector<KnobWrite> RaplLimits::zone_writes(const RaplZone& zone, const RaplRequest& request) const {
    std::vector<KnobWrite> writes;
    const RaplConstraint* constraint = find_constraint(zone, request);
    if (constraint && sets_constraint(request)) writes = constraint_writes(zone, *constraint, request);
    // After the limit that it switches on.
    if (request.enabled)
        writes.push_back(write_to(zone, nullptr, std::string(enabled_file), *request.enabled ? "1" : "0"));
    return writes;
}

/// Apart from zones(), since every sample asks for it: it reads no more than it needs.
std::map<std::string, uint64_t> RaplLimits::read_limits_in_force() const {
    std::map<std::string, uint64_t> found;
    for (const PowercapZone& listed : list_powercap_zones(root_, warn_)) {
        if (!listed.control_type.starts_with(rapl)) continue;
        std::filesystem::path directory = base_ / listed.directory;
        if (read_number_if_any(directory / enabled_file) == uint64_t{0}) continue;
        std::string mirrored = mirrored_by(listed);
        for (uint32_t index = 0; index < most_constraints; index++) {
            std::filesystem::path file = directory / fmt::format("constraint_{}_{}", index, power_limit);
            std::optional<uint64_t> limit_uw = read_number_if_any(file);
            if (!limit_uw && !is_there(file)) break;
            // 0 is what a driver shows for a limit that there is not.
            if (limit_uw.value_or(0) == 0) continue;
            auto [known, is_new] = found.emplace(mirrored.empty() ? listed.name : mirrored, *limit_uw);
            if (!is_new) known->second = std::min(known->second, *limit_uw);
        }
    }
    return found;
}

void RaplLimits::require_one_package() const {
    std::string names;
    size_t packages = 0;
    for (const RaplZone& zone : zones()) {
        if (!parse_package_name(zone.own_name) || !zone.also_selected_by.empty()) continue;
        names += (packages++ == 0 ? "" : ", ") + zone.name;
    }
    if (packages > 1)
        throw invalid(
            fmt::format("this host has limits of {} packages ({}): name a zone (virsh node-rapl-limit "
                        "--zone), or set all of them (--all)",
                        packages, names));
}

std::vector<KnobChange> RaplLimits::set(const ZoneSelection& selection, const RaplRequest& request) {
    check_request(request);
    std::lock_guard lock(mutex_);
    std::vector<RaplZone> chosen = select(selection);
    if (sets_constraint(request)) check_constraint(chosen, request);
    std::vector<KnobWrite> writes;
    for (const RaplZone& zone : chosen) {
        std::vector<KnobWrite> more = zone_writes(zone, request);
        std::move(more.begin(), more.end(), std::back_inserter(writes));
    }
    return apply_writes(writes, journal_, rules_);
}

/// The switch comes last, as when it was set.
void RaplLimits::add_recorded(const RaplZone& zone, std::vector<KnobWrite>& writes,
                              KnobRestore& result) const {
    auto add = [&](const RaplConstraint* constraint, const std::string& file) {
        std::optional<KnobRecord> record = journal_.find(place_of(zone), file);
        if (!record) return;
        try {
            KnobWrite write = write_to(zone, constraint, file, record->value);
            writes.push_back(std::move(write));
        } catch (const KnobError& error) {
            result.failures.push_back(error);
        }
    };
    for (const RaplConstraint& constraint : zone.constraints)
        for (std::string_view what : {power_limit, time_window})
            add(&constraint, kernel_file_of(constraint, what));
    add(nullptr, std::string(enabled_file));
}

KnobRestore RaplLimits::restore(const ZoneSelection& selection) {
    std::lock_guard lock(mutex_);
    std::set<std::string> places;
    for (const KnobRecord& record : journal_.records({Knob::RaplLimit})) places.insert(record.place);
    KnobRestore early;
    std::vector<KnobWrite> writes;
    for (const RaplZone& zone : selection ? select(selection) : zones())
        if (places.erase(place_of(zone)) != 0) add_recorded(zone, writes, early);
    if (!selection)
        for (const std::string& place : places)
            early.failures.emplace_back(
                KnobErrorKind::OperationInvalid,
                fmt::format("zone {} is not there; what stood there is kept, restore it when it is back",
                            place));
    KnobRestore result = restore_writes(writes, journal_, rules_);
    result.failures.insert(result.failures.begin(), early.failures.begin(), early.failures.end());
    return result;
}

}  // namespace virt_power
