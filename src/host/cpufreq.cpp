// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cpufreq.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "cpu_list.hpp"
#include "cpufreq_files.hpp"
#include "kernel_file.hpp"

namespace virt_power {
namespace {

std::optional<KnobRefusal> judge(const KnobWrite& write, const KnobAnswer& answer) {
    const std::string& file = write.before.record.file;
    if (file == preference_file && answer.error_number == EBUSY)
        return KnobRefusal{KnobErrorKind::OperationInvalid,
                           "the governor performance allows no other; set another governor first"};
    if (file == no_turbo_file && answer.error_number == EPERM)
        return KnobRefusal{KnobErrorKind::OperationInvalid, "turbo is switched off by the firmware"};
    if (answer.error_number != 0) return refused_by_kernel(write, answer);
    // The rest is rounded and clamped as the driver likes it, and returned.
    bool exact = file == governor_file || file == no_turbo_file || file == boost_file;
    if (exact && answer.after != write.value)
        return KnobRefusal{KnobErrorKind::Failed, fmt::format("it reads {}", in_quotes(answer.after))};
    return std::nullopt;
}

bool same(const KnobWrite& write, std::string_view after) { return after == write.value; }

/// The kernel applies new limits in a worker of its own; they clamp the frequency that is set.
bool is_late(const KnobWrite& write) {
    const std::string& file = write.before.record.file;
    return file == min_file || file == max_file || file == set_speed_file;
}

std::vector<std::string> words_in(const std::filesystem::path& path) {
    return split_words(read_knob_if_any(path).value_or(""));
}

/// affected_cpus and related_cpus have blanks where other lists have commas.
std::vector<uint32_t> cpus_in(const std::filesystem::path& path) {
    std::vector<uint32_t> cpus;
    for (const std::string& word : words_in(path))
        if (Result<uint64_t> cpu = parse_u64(word); cpu && *cpu <= UINT16_MAX)
            cpus.push_back(static_cast<uint32_t>(*cpu));
    std::sort(cpus.begin(), cpus.end());
    return cpus;
}

std::vector<uint64_t> numbers_in(const std::filesystem::path& path) {
    std::vector<uint64_t> numbers;
    for (const std::string& word : words_in(path))
        if (Result<uint64_t> number = parse_u64(word)) numbers.push_back(*number);
    return numbers;
}

}  // namespace

std::vector<std::string> split_words(std::string_view text) {
    std::vector<std::string> words;
    for (text = trim(text); !text.empty(); text = trim(text)) {
        size_t size = std::min(text.find_first_of(" \t\n"), text.size());
        words.emplace_back(text.substr(0, size));
        text.remove_prefix(size);
    }
    return words;
}

Cpufreq::Cpufreq(const std::filesystem::path& root, KnobJournal& journal, WriteFile write_file, Sleep sleep)
    : base_(root / "sys/devices/system/cpu"),
      journal_(journal),
      rules_{std::move(write_file), judge, same, is_late, std::move(sleep)} {}

std::vector<uint32_t> Cpufreq::online() const {
    Result<std::string> text = read_kernel_file(base_ / "online");
    Result<std::vector<uint32_t>> cpus = text ? parse_cpu_list(*text) : text.error();
    if (!cpus) throw KnobError(KnobErrorKind::Failed, cpus.error().message);
    return *cpus;
}

std::vector<uint32_t> Cpufreq::resolve(const CpuSelection& selection) const {
    std::vector<uint32_t> known = online();
    if (!selection) return known;
    if (selection->empty()) throw KnobError(KnobErrorKind::InvalidArgument, "the list of CPUs is empty");
    std::vector<uint32_t> chosen = *selection;
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    for (uint32_t cpu : chosen) {
        if (std::binary_search(known.begin(), known.end(), cpu)) continue;
        if (is_there(base_ / fmt::format("cpu{}", cpu)))
            throw KnobError(KnobErrorKind::OperationInvalid,
                            fmt::format("CPU {} is offline; take it online or leave it out", cpu));
        throw KnobError(KnobErrorKind::InvalidArgument,
                        fmt::format("there is no CPU {}; online are {}", cpu, name_cpus(known)));
    }
    return chosen;
}

std::filesystem::path Cpufreq::directory_of(uint32_t cpu) const {
    return base_ / fmt::format("cpu{}", cpu) / "cpufreq";
}

bool Cpufreq::has_driver(uint32_t cpu) const {
    return read_knob_if_any(directory_of(cpu) / "scaling_driver").has_value();
}

void Cpufreq::require_driver(uint32_t cpu) const {
    Result<std::string> driver = read_kernel_file(directory_of(cpu) / "scaling_driver");
    if (driver) return;
    if (driver.error().error_number == EBUSY)
        throw KnobError(KnobErrorKind::OperationInvalid,
                        fmt::format("CPU {} is going offline or coming online; try again later", cpu));
    throw KnobError(KnobErrorKind::Unsupported,
                    fmt::format("CPU {} has no cpufreq driver; load one, for example acpi-cpufreq", cpu));
}

Cpufreq::Policy Cpufreq::policy_of(uint32_t cpu) const {
    Policy policy;
    policy.directory = directory_of(cpu);
    policy.cpus = cpus_in(policy.directory / "affected_cpus");
    if (std::find(policy.cpus.begin(), policy.cpus.end(), cpu) == policy.cpus.end()) policy.cpus = {cpu};
    // Offline ones are among these, so that the name stays when CPUs go and come.
    std::vector<uint32_t> related = cpus_in(policy.directory / "related_cpus");
    policy.place = fmt::format("cpu{}", related.empty() ? policy.cpus.front() : related.front());
    policy.subject = name_cpus(policy.cpus);
    return policy;
}

std::vector<Cpufreq::Policy> Cpufreq::policies_of(const std::vector<uint32_t>& cpus) const {
    std::vector<Policy> policies;
    std::set<uint32_t> covered;
    for (uint32_t cpu : cpus) {
        if (covered.contains(cpu)) continue;
        require_driver(cpu);
        policies.push_back(policy_of(cpu));
        covered.insert(policies.back().cpus.begin(), policies.back().cpus.end());
    }
    return policies;
}

Cpufreq::Policy Cpufreq::host_wide(const std::string& name) const {
    return {base_ / name, name, online(), "all CPUs"};
}

std::vector<CpuFrequency> Cpufreq::read(const CpuSelection& selection) const {
    std::vector<CpuFrequency> all;
    bool any_driver = false;
    for (uint32_t cpu : resolve(selection)) {
        CpuFrequency found;
        found.cpu = cpu;
        found.policy_cpus = {cpu};
        if (has_driver(cpu)) {
            any_driver = true;
            Policy policy = policy_of(cpu);
            auto at = [&](const char* file) { return policy.directory / file; };
            found.policy_cpus = policy.cpus;
            found.driver = read_knob_if_any(at("scaling_driver"));
            found.governor = read_knob_if_any(at(governor_file));
            found.governors = words_in(at(governors_file));
            found.current_khz = read_number_if_any(at(current_file));
            found.min_khz = read_number_if_any(at(min_file));
            found.max_khz = read_number_if_any(at(max_file));
            found.hardware_min_khz = read_number_if_any(at("cpuinfo_min_freq"));
            found.hardware_max_khz = read_number_if_any(at("cpuinfo_max_freq"));
            found.set_khz = read_number_if_any(at(set_speed_file));
            found.available_khz = numbers_in(at("scaling_available_frequencies"));
            found.energy_preference = read_knob_if_any(at(preference_file));
            found.energy_preferences = words_in(at(preferences_file));
        }
        all.push_back(std::move(found));
    }
    if (!any_driver)
        throw KnobError(KnobErrorKind::Unsupported,
                        "no CPU has a cpufreq driver; load one, for example acpi-cpufreq");
    return all;
}

std::map<uint32_t, uint64_t> Cpufreq::read_current_khz() const {
    std::map<uint32_t, uint64_t> found;
    for (uint32_t cpu : online())
        if (std::optional<uint64_t> khz = read_number_if_any(directory_of(cpu) / current_file))
            found.emplace(cpu, *khz);
    return found;
}

HostFrequency Cpufreq::read_host() const {
    HostFrequency found;
    found.max_perf_percent = read_number_if_any(base_ / pstate_directory / max_percent_file);
    found.min_perf_percent = read_number_if_any(base_ / pstate_directory / min_percent_file);
    if (std::optional<uint64_t> off = read_number_if_any(base_ / pstate_directory / no_turbo_file))
        found.turbo = *off == 0;
    else if (std::optional<uint64_t> boost = read_number_if_any(base_ / boost_directory / boost_file))
        found.turbo = *boost != 0;
    return found;
}

}  // namespace virt_power
