// SPDX-License-Identifier: LGPL-2.1-or-later
#include "encoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "text.hpp"
#include "words.hpp"

namespace virt_power {
namespace {

template <typename Number>
void append_number(std::string& out, Number value) {
    fmt::format_int text(value);
    out.append(text.data(), text.size());
}

template <typename Number>
void append_number(std::string& out, const std::optional<Number>& value) {
    if (value)
        append_number(out, *value);
    else
        out += "null";
}

/// `,"key":[...]`, each item by write().
template <typename Items, typename Write>
void append_list(std::string& out, std::string_view key, const Items& items, Write write) {
    fmt::format_to(std::back_inserter(out), ",\"{}\":[", key);
    bool first = true;
    for (const auto& item : items) {
        if (!std::exchange(first, false)) out += ',';
        write(item);
    }
    out += ']';
}

void append_usages(std::string& out, const std::vector<Usage>& usages,
                   std::optional<uint64_t> Usage::*other = &Usage::cycles) {
    out += '[';
    bool first = true;
    for (const Usage& usage : usages) {
        if (!std::exchange(first, false)) out += ',';
        append_number(out, usage.time_ns);
        out += ',';
        append_number(out, usage.*other);
    }
    out += ']';
}

void append_weights(std::string& out, const std::vector<Usage>& usages) {
    out += '[';
    bool first = true;
    for (const Usage& usage : usages) {
        if (!std::exchange(first, false)) out += ',';
        append_number(out, usage.weight);
    }
    out += ']';
}

bool has_weight(const std::vector<Usage>& usages) {
    return std::any_of(usages.begin(), usages.end(), [](const Usage& usage) { return usage.weight; });
}

/// Weights and helpers of domains, where any has them. `of` gives an item's usage.
template <typename Items, typename Of>
void append_parts(std::string& out, const char* weight_key, const char* helper_key, const Items& items,
                  Of of) {
    using Item = typename Items::value_type;
    auto weighed = [&](const Item& item) { return has_weight(of(item).packages); };
    auto has_helpers = [&](const Item& item) { return !of(item).helpers.empty(); };
    if (std::any_of(items.begin(), items.end(), weighed))
        append_list(out, weight_key, items,
                    [&](const Item& item) { append_weights(out, of(item).packages); });
    if (std::any_of(items.begin(), items.end(), has_helpers))
        append_list(out, helper_key, items,
                    [&](const Item& item) { append_usages(out, of(item).helpers, &Usage::weight); });
}

void append_about(std::string& out, const About& about) {
    out += ",\"about\":{\"host\":";
    append_text(out, about.host);
    out += ",\"uri\":";
    append_text(out, about.uri);
    fmt::format_to(std::back_inserter(out), ",\"cpus\":{},\"status\":\"{}\",\"reason\":", about.cpus,
                   word_of(status_words, about.status));
    append_text(out, about.reason);
    out += '}';
}

void append_zone(std::string& out, const ZoneFacts& zone) {
    out += '[';
    append_text(out, zone.name);
    out += ',';
    append_text(out, zone.type);
    out += ',';
    append_number(out, zone.package);
    out += ',';
    append_text(out, zone.source);
    out += zone.counted ? ",true," : ",false,";
    append_number(out, zone.static_uw);
    out += ']';
}

void append_domain(std::string& out, const NumberedDomain& domain) {
    out += '[';
    append_number(out, domain.number);
    out += ',';
    append_text(out, domain.name);
    out += ',';
    append_text(out, domain.uuid);
    out += ',';
    append_number(out, domain.instance);
    if (domain.usage_source)
        fmt::format_to(std::back_inserter(out), ",\"{}\"]", word_of(usage_words, *domain.usage_source));
    else
        out += ",null]";
}

/// A figure of each item; none at all where none is known.
template <typename Items, typename Figure>
Figures figures_of(const Items& items, Figure figure) {
    Figures figures;
    bool any = false;
    for (const auto& item : items) {
        figures.push_back(item.*figure);
        any = any || figures.back();
    }
    if (!any) figures.clear();
    return figures;
}

void append_figures(std::string& out, std::string_view key, const Figures& figures) {
    append_list(out, key, figures,
                [&out](const std::optional<uint64_t>& figure) { append_number(out, figure); });
}

void append_weighing(std::string& out, const std::optional<Weighing>& weighing) {
    if (weighing)
        fmt::format_to(std::back_inserter(out), ",\"weighing\":[{},{},{},{}]", weighing->shared_permille,
                       weighing->cycle_permille, weighing->square_permille, weighing->measured);
    else
        out += ",\"weighing\":null";
}

/// Each only where it is known of some package.
void append_package_figures(std::string& out, const std::vector<PackageReading>& packages) {
    bool weighed = false;
    for (const PackageReading& package : packages)
        weighed = weighed || package.host.weight || package.vms.weight;
    if (weighed)
        append_list(out, "package_weight", packages, [&out](const PackageReading& package) {
            append_weights(out, {package.host, package.vms});
        });
    for (const auto& [key, figure] : {std::pair("package_frequency", &PackageReading::frequency_khz),
                                      std::pair("package_shared", &PackageReading::shared),
                                      std::pair("package_squared", &PackageReading::squared)}) {
        Figures figures = figures_of(packages, figure);
        if (!figures.empty()) append_figures(out, key, figures);
    }
}

void append_reading(std::string& out, const HostReading& reading) {
    fmt::format_to(std::back_inserter(out), ",\"reading\":[{},{},\"{}\",", reading.epoch, reading.time_ns,
                   word_of(usage_words, reading.usage_source));
    append_number(out, reading.cycles_gaps);
    out += ',';
    append_number(out, reading.interval_ns);
    out += ',';
    append_number(out, reading.vm_count);
    out += ']';
    if (!reading.packages.empty())
        append_list(out, "package_use", reading.packages, [&out](const PackageReading& package) {
            append_usages(out, {package.host, package.vms});
        });
    if (!reading.zones.empty())
        append_list(out, "zone_energy", reading.zones, [&out](const ZoneReading& zone) {
            out += '[';
            append_number(out, zone.energy_uj);
            out += ',';
            append_number(out, zone.gaps);
            out += ']';
        });
    append_package_figures(out, reading.packages);
    if (reading.departed_totals.empty()) return;
    out += ",\"departed_total\":";
    append_usages(out, reading.departed_totals);
    if (!has_weight(reading.departed_totals)) return;
    out += ",\"departed_total_weight\":";
    append_weights(out, reading.departed_totals);
}

}  // namespace

/// What is written only where it changed.
void HostEncoder::append_facts(std::string& out, const Sample& sample) {
    About about{sample.host, sample.uri, sample.status_reason, sample.host_cpus, sample.status};
    if (first_ || about != about_) append_about(out, about);
    about_ = std::move(about);
    first_ = false;
    if (!sample.reading) return;
    std::vector<ZoneFacts> zones;
    for (const ZoneReading& zone : sample.reading->zones)
        zones.push_back({zone.name, zone.type, zone.source, zone.package, zone.counted, zone.static_uw});
    if (zones != zones_)
        append_list(out, "zones", zones, [&out](const ZoneFacts& zone) { append_zone(out, zone); });
    zones_ = std::move(zones);
    std::vector<int64_t> packages;
    for (const PackageReading& package : sample.reading->packages) packages.push_back(package.id);
    if (packages != packages_)
        append_list(out, "packages", packages, [&out](int64_t id) { append_number(out, id); });
    packages_ = std::move(packages);
    auto limits_uw = figures_of(sample.reading->zones, &ZoneReading::limit_uw);
    if (limits_uw != limits_uw_) append_figures(out, "zone_limit", limits_uw);
    limits_uw_ = std::move(limits_uw);
    if (sample.reading->weighing != weighing_) append_weighing(out, sample.reading->weighing);
    weighing_ = sample.reading->weighing;
}

void HostEncoder::append_allocations(std::string& out, const Sample& sample) {
    Figures vcpus = figures_of(sample.domains, &DomainSample::vcpus);
    if (vcpus != vcpus_) append_figures(out, "vcpus", vcpus);
    vcpus_ = std::move(vcpus);
    Figures memory_kib = figures_of(sample.domains, &DomainSample::memory_kib);
    if (memory_kib != memory_kib_) append_figures(out, "memory", memory_kib);
    memory_kib_ = std::move(memory_kib);
}

void HostEncoder::append_domains(std::string& out, const Sample& sample) {
    static const std::vector<DomainUsage> none;
    const std::vector<DomainUsage>& departed = sample.reading ? sample.reading->departed : none;
    std::vector<uint32_t> running_before = numbers_.running(), departed_before = numbers_.departed();
    std::vector<NumberedDomain> fresh;
    numbers_.assign(sample.domains, departed, fresh);
    auto number = [&out](uint32_t value) { append_number(out, value); };
    if (!fresh.empty())
        append_list(out, "domains", fresh,
                    [&out](const NumberedDomain& domain) { append_domain(out, domain); });
    if (numbers_.running() != running_before) append_list(out, "running", numbers_.running(), number);
    if (sample.reading && numbers_.departed() != departed_before)
        append_list(out, "departed", numbers_.departed(), number);
    if (sample.reading) append_reading(out, *sample.reading);
    if (!sample.domains.empty())
        append_list(out, "use", sample.domains,
                    [&out](const DomainSample& domain) { append_usages(out, domain.usage.packages); });
    if (!departed.empty())
        append_list(out, "departed_use", departed,
                    [&out](const DomainUsage& domain) { append_usages(out, domain.packages); });
    append_parts(out, "use_weight", "use_helper", sample.domains,
                 [](const DomainSample& domain) -> const DomainUsage& { return domain.usage; });
    append_parts(out, "departed_weight", "departed_helper", departed,
                 [](const DomainUsage& domain) -> const DomainUsage& { return domain; });
    bool has_cpu_time = false;
    for (const DomainSample& domain : sample.domains) has_cpu_time = has_cpu_time || domain.cpu_time_ns;
    if (has_cpu_time)
        append_list(out, "cpu_time", sample.domains,
                    [&out](const DomainSample& domain) { append_number(out, domain.cpu_time_ns); });
}

void HostEncoder::append(std::string& out, size_t host, const Sample& sample) {
    fmt::format_to(std::back_inserter(out), "{{\"host\":{},\"time\":[{},{}]", host, sample.wall_ns,
                   sample.monotonic_ns);
    append_facts(out, sample);
    append_domains(out, sample);
    append_allocations(out, sample);
    if (!sample.notices.empty())
        append_list(out, "notices", sample.notices,
                    [&out](const std::string& notice) { append_text(out, notice); });
    out += "}\n";
}

std::string header_line(const RecordingHeader& header) {
    std::string out =
        fmt::format("{{\"format\":\"{}\",\"version\":{},\"program\":", recording_format, recording_version);
    append_text(out, header.program);
    fmt::format_to(std::back_inserter(out), ",\"delay_ms\":{}", header.delay.count());
    append_list(out, "hosts", header.hosts, [&out](const std::string& host) { append_text(out, host); });
    return out + "}\n";
}

std::string error_line(size_t host, const Error& error) {
    std::string out = fmt::format("{{\"host\":{},\"error\":\"{}\",\"errno\":{},\"message\":", host,
                                  word_of(error_words, error.kind), error.error_number);
    append_text(out, error.message);
    return out + "}\n";
}

std::string started_line() { return "{\"mark\":\"started\"}\n"; }

std::string tick_line(uint64_t number) {
    return fmt::format("{{\"mark\":\"tick\",\"number\":{}}}\n", number);
}

std::string end_line(uint64_t ticks) { return fmt::format("{{\"mark\":\"end\",\"number\":{}}}\n", ticks); }

}  // namespace virt_power
