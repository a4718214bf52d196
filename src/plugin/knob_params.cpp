// SPDX-License-Identifier: LGPL-2.1-or-later
#include "knob_params.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "cpu_list.hpp"
#include "cpufreq_files.hpp"
#include "kernel_file.hpp"

namespace virt_power {
namespace {

uint32_t count_of(size_t size) { return static_cast<uint32_t>(size); }

/// What is not known is not there.
class ParamList {
public:
    void add(std::string name, ParamValue value) { params_.push_back({std::move(name), std::move(value)}); }
    template <typename T>
    void add(std::string name, const std::optional<T>& value) {
        if (value) add(std::move(name), ParamValue(*value));
    }
    void add_text(std::string name, const std::string& text) {
        if (!text.empty()) add(std::move(name), ParamValue(text));
    }
    Params take() { return std::move(params_); }

private:
    Params params_;
};

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

void add_cpu(ParamList& list, const std::string& prefix, const CpuFrequency& cpu) {
    list.add(prefix + "id", ParamValue(cpu.cpu));
    list.add_text(prefix + "policy", format_cpu_list(cpu.policy_cpus));
}

/// How the value of a change is written down.
enum class ChangeType { Text, Number, Switch, InvertedSwitch };

struct ChangeKind {
    std::string_view file;  ///< its end
    std::string_view name;
    ChangeType type;
};

constexpr ChangeKind change_kinds[] = {
    {governor_file, "governor", ChangeType::Text},
    {min_file, "min", ChangeType::Number},
    {max_file, "max", ChangeType::Number},
    {set_speed_file, "set", ChangeType::Number},
    {preference_file, "energy_preference", ChangeType::Text},
    {max_percent_file, "max_perf_pct", ChangeType::Number},
    {min_percent_file, "min_perf_pct", ChangeType::Number},
    {no_turbo_file, "turbo", ChangeType::InvertedSwitch},
    {boost_file, "turbo", ChangeType::Switch},
    {"power_limit_uw", "power_limit", ChangeType::Number},
    {"time_window_us", "time_window", ChangeType::Number},
    {"enabled", "enabled", ChangeType::Switch},
};

const ChangeKind* kind_of(const KnobChange& change) {
    const auto* found =
        std::find_if(std::begin(change_kinds), std::end(change_kinds),
                     [&](const ChangeKind& kind) { return change.file.ends_with(kind.file); });
    return found == std::end(change_kinds) ? nullptr : found;
}

/// Absent where the kernel wrote something else, as "<unsupported>".
std::optional<ParamValue> value_of(ChangeType type, const std::string& text) {
    if (type == ChangeType::Text) return ParamValue(text);
    Result<uint64_t> number = parse_u64(text);
    if (!number) return std::nullopt;
    if (type == ChangeType::Number) return ParamValue(*number);
    return ParamValue((*number != 0) == (type == ChangeType::Switch));
}

KnobError invalid(const std::string& sentence) { return {KnobErrorKind::InvalidArgument, sentence}; }

template <typename T>
constexpr const char* type_name = "";
template <>
constexpr const char* type_name<uint64_t> = "unsigned long long";
template <>
constexpr const char* type_name<bool> = "boolean";
template <>
constexpr const char* type_name<std::string> = "string";

/// Takes the parameters that are known, by name.
class Taker {
public:
    template <typename T>
    void takes(std::string name, std::optional<T>& field) {
        takers_.emplace_back(name, [name, &field](const ParamValue& value) {
            if (!std::holds_alternative<T>(value))
                throw invalid(fmt::format("parameter {} must be of type {}", name, type_name<T>));
            if (field) throw invalid(fmt::format("parameter {} is given twice", name));
            field = std::get<T>(value);
        });
    }

    void take(const Params& params) const {
        for (const Param& param : params) {
            auto known = std::find_if(takers_.begin(), takers_.end(),
                                      [&](const auto& taker) { return taker.first == param.name; });
            if (known == takers_.end()) throw unknown(param.name);
            known->second(param.value);
        }
    }

private:
    [[nodiscard]] KnobError unknown(const std::string& name) const {
        std::string names;
        for (const auto& [known, taker] : takers_) names += (names.empty() ? "" : ", ") + known;
        return invalid(fmt::format("there is no parameter {}; there are: {}", in_quotes(name), names));
    }

    std::vector<std::pair<std::string, std::function<void(const ParamValue&)>>> takers_;
};

}  // namespace

Params governor_params(const std::vector<CpuFrequency>& cpus) {
    ParamList list;
    list.add("cpu.count", ParamValue(count_of(cpus.size())));
    for (size_t n = 0; n < cpus.size(); n++) {
        std::string prefix = fmt::format("cpu.{}.", n);
        add_cpu(list, prefix, cpus[n]);
        list.add(prefix + "driver", cpus[n].driver);
        list.add(prefix + "governor", cpus[n].governor);
        list.add_text(prefix + "governors", joined(cpus[n].governors));
    }
    return list.take();
}

Params frequency_params(const std::vector<CpuFrequency>& cpus, const HostFrequency& host, bool denied) {
    ParamList list;
    list.add("current.status", ParamValue(std::string(denied ? "denied" : "ok")));
    list.add("max_perf_pct", host.max_perf_percent);
    list.add("min_perf_pct", host.min_perf_percent);
    list.add("turbo", host.turbo);
    list.add("cpu.count", ParamValue(count_of(cpus.size())));
    for (size_t n = 0; n < cpus.size(); n++) {
        const CpuFrequency& cpu = cpus[n];
        std::string prefix = fmt::format("cpu.{}.", n);
        add_cpu(list, prefix, cpu);
        if (!denied) list.add(prefix + "current", cpu.current_khz);
        list.add(prefix + "min", cpu.min_khz);
        list.add(prefix + "max", cpu.max_khz);
        list.add(prefix + "hardware.min", cpu.hardware_min_khz);
        list.add(prefix + "hardware.max", cpu.hardware_max_khz);
        list.add(prefix + "set", cpu.set_khz);
        list.add_text(prefix + "available", fmt::format("{}", fmt::join(cpu.available_khz, " ")));
        list.add(prefix + "energy_preference", cpu.energy_preference);
        list.add_text(prefix + "energy_preferences", joined(cpu.energy_preferences));
    }
    return list.take();
}

Params rapl_params(const std::vector<RaplZone>& zones) {
    ParamList list;
    list.add("zone.count", ParamValue(count_of(zones.size())));
    for (size_t n = 0; n < zones.size(); n++) {
        const RaplZone& zone = zones[n];
        std::string prefix = fmt::format("zone.{}.", n);
        list.add(prefix + "name", ParamValue(zone.name));
        list.add_text(prefix + "alias", zone.also_selected_by);
        list.add(prefix + "enabled", zone.enabled);
        list.add(prefix + "constraint.count", ParamValue(count_of(zone.constraints.size())));
        for (size_t m = 0; m < zone.constraints.size(); m++) {
            const RaplConstraint& constraint = zone.constraints[m];
            std::string at = fmt::format("{}constraint.{}.", prefix, m);
            list.add(at + "index", ParamValue(constraint.index));
            list.add_text(at + "name", constraint.name);
            list.add(at + "power_limit", constraint.power_limit_uw);
            list.add(at + "time_window", constraint.time_window_us);
            // 0: the driver does not know
            if (constraint.max_power_uw != uint64_t{0}) list.add(at + "max_power", constraint.max_power_uw);
        }
    }
    return list.take();
}

Params change_params(const std::vector<KnobChange>& changes) {
    ParamList list;
    list.add("change.count", ParamValue(count_of(changes.size())));
    for (size_t n = 0; n < changes.size(); n++) {
        const KnobChange& change = changes[n];
        std::string prefix = fmt::format("change.{}.", n);
        list.add(prefix + "knob", ParamValue(std::string(knob_name(change))));
        list.add_text(prefix + "cpus", format_cpu_list(change.cpus));
        list.add_text(prefix + "zone", change.zone);
        list.add_text(prefix + "constraint", change.constraint);
        const ChangeKind* kind = kind_of(change);
        ChangeType type = kind ? kind->type : ChangeType::Text;
        list.add(prefix + "before", value_of(type, change.before));
        list.add(prefix + "asked", value_of(type, change.asked));
        list.add(prefix + "after", value_of(type, change.after));
    }
    return list.take();
}

std::string_view knob_name(const KnobChange& change) {
    const ChangeKind* kind = kind_of(change);
    return kind ? kind->name : std::string_view(change.file);
}

std::string governor_request(const Params& params) {
    std::optional<std::string> governor;
    Taker taker;
    taker.takes("governor", governor);
    taker.take(params);
    if (!governor) throw invalid("nothing to set was given");
    return *governor;
}

FrequencyRequest frequency_request(const Params& params) {
    FrequencyRequest request;
    Taker taker;
    taker.takes("min", request.min_khz);
    taker.takes("max", request.max_khz);
    taker.takes("set", request.set_khz);
    taker.takes("max_perf_pct", request.host.max_perf_percent);
    taker.takes("min_perf_pct", request.host.min_perf_percent);
    taker.takes("turbo", request.host.turbo);
    taker.takes("energy_preference", request.energy_preference);
    taker.take(params);
    return request;
}

RaplRequest rapl_request(const Params& params) {
    RaplRequest request;
    Taker taker;
    taker.takes("power_limit", request.power_limit_uw);
    taker.takes("time_window", request.time_window_us);
    taker.takes("enabled", request.enabled);
    taker.takes("constraint", request.constraint);
    taker.take(params);
    return request;
}

}  // namespace virt_power
