// SPDX-License-Identifier: LGPL-2.1-or-later
// The setters of Cpufreq: what can be wrong is looked for first, then all is written.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "cpufreq.hpp"
#include "cpufreq_files.hpp"

namespace virt_power {
namespace {

constexpr uint64_t max_percent = 100;

KnobError invalid(const std::string& sentence) { return {KnobErrorKind::InvalidArgument, sentence}; }

KnobError nothing_given() { return invalid("nothing to set was given"); }

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

/// A pair of limits that stands, and what shall stand. Values of one unit.
struct Limits {
    std::optional<uint64_t> min, max;          // asked for
    std::optional<uint64_t> old_min, old_max;  // standing
    const char* unit;

    void check(const std::string& subject) const {
        std::optional<uint64_t> low = min ? min : old_min;
        std::optional<uint64_t> high = max ? max : old_max;
        if (!low || !high || *low <= *high) return;
        const char* hint = min && max ? ""
                           : min      ? " that stands; set both"
                                      : ", as the minimum stands; set both";
        throw invalid(fmt::format("{}: the minimum of {} {} is above the maximum of {} {}{}", subject, *low,
                                  unit, *high, unit, hint));
    }

    /// Else the minimum would be above the maximum for a moment.
    [[nodiscard]] bool max_first() const { return min && max && old_max && *min > *old_max; }
};

/// Within what the hardware can do. 0 is never asked for on purpose.
void check_frequency(const std::string& subject, const std::optional<uint64_t>& khz,
                     const std::filesystem::path& directory) {
    if (!khz) return;
    if (*khz == 0) throw invalid("a frequency of 0 kHz cannot be set");
    std::optional<uint64_t> low = read_number_if_any(directory / "cpuinfo_min_freq");
    std::optional<uint64_t> high = read_number_if_any(directory / "cpuinfo_max_freq");
    if (!low || !high)
        throw KnobError(KnobErrorKind::Unsupported,
                        fmt::format("{}: the driver does not tell the hardware's limits", subject));
    if (*khz < *low || *khz > *high)
        throw invalid(fmt::format("{}: {} kHz is outside of what the hardware can do, {} to {} kHz", subject,
                                  *khz, *low, *high));
}

void check_set_speed(const std::string& subject, const std::filesystem::path& directory) {
    std::string governor = read_knob(directory / governor_file);
    if (governor == userspace_governor) return;
    std::vector<std::string> offered = split_words(read_knob_if_any(directory / governors_file).value_or(""));
    if (std::find(offered.begin(), offered.end(), userspace_governor) == offered.end())
        throw KnobError(KnobErrorKind::Unsupported,
                        fmt::format("{}: a frequency can be set only under the governor userspace, which is "
                                    "not offered here; set a minimum and a maximum, or load "
                                    "cpufreq_userspace",
                                    subject));
    throw KnobError(KnobErrorKind::OperationInvalid,
                    fmt::format("{}: a frequency can be set only under the governor userspace, and it is {}; "
                                "set the governor to userspace first: virsh node-governor --set userspace",
                                subject, governor));
}

void append(std::vector<KnobWrite>& to, std::vector<KnobWrite> from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
}

/// A minimum and a maximum, those that there are, in an order that is good at every moment.
std::vector<KnobWrite> in_order(const Limits& limits, std::optional<KnobWrite> min,
                                std::optional<KnobWrite> max) {
    std::vector<KnobWrite> writes;
    if (limits.max_first()) std::swap(min, max);
    if (min) writes.push_back(*std::move(min));
    if (max) writes.push_back(*std::move(max));
    return writes;
}

}  // namespace

KnobWrite Cpufreq::write_to(const Policy& policy, Knob knob, const char* file, std::string value) const {
    std::filesystem::path path = policy.directory / file;
    require_writable(path, policy.subject);
    return {policy.subject,
            policy.cpus,
            {path, {knob, policy.place, file, read_knob(path)}},
            std::move(value),
            {}};
}

/// One of some words, which every policy must offer.
Cpufreq::Writes Cpufreq::word_writes(const CpuSelection& selection, Knob knob, const char* file,
                                     const char* offered_file, const std::string& word) const {
    std::vector<Policy> policies = policies_of(resolve(selection));
    std::vector<std::string> common;
    for (size_t n = 0; n < policies.size(); n++) {
        std::filesystem::path path = policies[n].directory / offered_file;
        std::vector<std::string> offered = split_words(read_knob_if_any(path).value_or(""));
        if (offered.empty()) {
            for (uint32_t cpu : policies[n].cpus) require_driver(cpu);  // it may go at this moment
            throw KnobError(KnobErrorKind::Unsupported,
                            fmt::format("{}: the driver offers no {}", policies[n].subject,
                                        knob == Knob::Governor ? "governors" : "energy preferences"));
        }
        if (n == 0) common = offered;
        std::erase_if(common, [&](const std::string& known) {
            return std::find(offered.begin(), offered.end(), known) == offered.end();
        });
    }
    if (std::find(common.begin(), common.end(), word) == common.end())
        throw invalid(
            fmt::format("there is no {} {} {}; offered are: {}",
                        knob == Knob::Governor ? "governor" : "energy preference", in_quotes(word),
                        policies.size() == 1 ? "for " + policies.front().subject : "for all of these CPUs",
                        common.empty() ? "none" : joined(common)));
    Writes writes;
    for (const Policy& policy : policies) writes.push_back(write_to(policy, knob, file, word));
    return writes;
}

std::vector<KnobChange> Cpufreq::set_governor(const CpuSelection& selection, const std::string& governor) {
    std::lock_guard lock(mutex_);
    Writes writes = word_writes(selection, Knob::Governor, governor_file, governors_file, governor);
    for (KnobWrite& write : writes) {
        const KnobValue& before = write.before;
        if (before.record.value != userspace_governor || governor == userspace_governor) continue;
        // The kernel forgets the frequency with the governor that it belongs to.
        std::filesystem::path path = before.path.parent_path() / set_speed_file;
        if (std::optional<std::string> khz = read_knob_if_any(path))
            write.lost_with_it.push_back(
                {path, {Knob::Frequency, before.record.place, set_speed_file, *khz}});
    }
    return apply_writes(writes, journal_, rules_);
}

Cpufreq::Writes Cpufreq::frequency_writes(const Policy& policy, const FrequencyRequest& request) const {
    const std::filesystem::path& directory = policy.directory;
    for (const std::optional<uint64_t>& khz : {request.min_khz, request.max_khz, request.set_khz})
        check_frequency(policy.subject, khz, directory);
    Limits limits{request.min_khz, request.max_khz, read_number_if_any(directory / min_file),
                  read_number_if_any(directory / max_file), "kHz"};
    if (request.min_khz || request.max_khz) limits.check(policy.subject);
    if (request.set_khz) check_set_speed(policy.subject, directory);

    auto write = [&](const char* file, const std::optional<uint64_t>& khz) -> std::optional<KnobWrite> {
        if (!khz) return std::nullopt;
        return write_to(policy, Knob::Frequency, file, fmt::format("{}", *khz));
    };
    Writes writes = in_order(limits, write(min_file, request.min_khz), write(max_file, request.max_khz));
    // Last, since the limits clamp it.
    if (std::optional<KnobWrite> speed = write(set_speed_file, request.set_khz))
        writes.push_back(*std::move(speed));
    return writes;
}

Cpufreq::Writes Cpufreq::turbo_write(bool turbo) const {
    if (is_there(base_ / pstate_directory / no_turbo_file))
        return {write_to(host_wide(pstate_directory), Knob::HostFrequency, no_turbo_file, turbo ? "0" : "1")};
    if (is_there(base_ / boost_directory / boost_file))
        return {write_to(host_wide(boost_directory), Knob::HostFrequency, boost_file, turbo ? "1" : "0")};
    throw KnobError(
        KnobErrorKind::Unsupported,
        "this host has no switch for turbo: neither intel_pstate nor a driver with boost is there");
}

Cpufreq::Writes Cpufreq::percent_writes(const HostFrequency& request) const {
    if (!request.min_perf_percent && !request.max_perf_percent) return {};
    Policy host = host_wide(pstate_directory);
    if (!is_there(host.directory / max_percent_file))
        throw KnobError(KnobErrorKind::Unsupported,
                        "this host has no limits in percent: its cpufreq driver is not intel_pstate");
    for (const std::optional<uint64_t>& percent : {request.min_perf_percent, request.max_perf_percent})
        if (percent && (*percent == 0 || *percent > max_percent))
            throw invalid(fmt::format("{} is not a percentage from 1 to 100", *percent));
    Limits limits{request.min_perf_percent, request.max_perf_percent,
                  read_number_if_any(host.directory / min_percent_file),
                  read_number_if_any(host.directory / max_percent_file), "%"};
    limits.check(host.subject);
    auto write = [&](const char* file, const std::optional<uint64_t>& percent) -> std::optional<KnobWrite> {
        if (!percent) return std::nullopt;
        return write_to(host, Knob::HostFrequency, file, fmt::format("{}", *percent));
    };
    return in_order(limits, write(min_percent_file, request.min_perf_percent),
                    write(max_percent_file, request.max_perf_percent));
}

Cpufreq::Writes Cpufreq::host_writes(const HostFrequency& request) const {
    Writes writes;
    // First, since the percentages are of what is left without turbo.
    if (request.turbo) append(writes, turbo_write(*request.turbo));
    append(writes, percent_writes(request));
    return writes;
}

std::vector<KnobChange> Cpufreq::set_frequency(const CpuSelection& selection,
                                               const FrequencyRequest& request) {
    bool own = request.min_khz || request.max_khz || request.set_khz;
    const HostFrequency& host = request.host;
    bool any_host = host.turbo || host.min_perf_percent || host.max_perf_percent;
    if (!own && !any_host && !request.energy_preference) throw nothing_given();
    std::lock_guard lock(mutex_);
    Writes writes = host_writes(host);
    if (own)
        for (const Policy& policy : policies_of(resolve(selection)))
            append(writes, frequency_writes(policy, request));
    if (request.energy_preference)
        append(writes, word_writes(selection, Knob::EnergyPreference, preference_file, preferences_file,
                                   *request.energy_preference));
    return apply_writes(writes, journal_, rules_);
}

}  // namespace virt_power
