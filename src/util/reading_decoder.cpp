// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/format.h>

#include <array>
#include <charconv>

#include "reading_codec.hpp"

namespace virt_power {
namespace {

/// No host has as many; an index beyond is a daemon's error and must not cost memory.
constexpr size_t max_packages = 1024;
constexpr size_t max_zones = 8192;
constexpr size_t max_departed = 8192;

/// A usage whose parts arrive one by one.
struct UsageParts {
    std::optional<uint64_t> time_ns;
    std::optional<uint64_t> cycles;
    std::optional<uint64_t> weight;
};

struct PackageParts {
    std::optional<int64_t> id;
    UsageParts host, vms;
    std::optional<uint64_t> frequency_khz, shared, squared;
};

struct WeighingParts {
    std::optional<uint32_t> shared_permille, cycle_permille, square_permille;
    std::optional<bool> measured;
};

struct ZoneParts {
    std::optional<std::string> name, type, source;
    std::optional<uint32_t> package;
    std::optional<bool> counted;
    std::optional<uint64_t> gaps, energy_uj, static_uw, limit_uw;
};

struct DepartedParts {
    std::optional<std::string> name, uuid;
    std::optional<uint64_t> instance;
    std::vector<UsageParts> packages, helpers;
};

struct RecordParts {
    std::string status;
    std::optional<uint64_t> epoch, time_ns, gaps, interval_ns, instance;
    std::optional<std::string> host_usage, usage;
    std::optional<uint32_t> vm_count, package_count, zone_count, departed_count;
    WeighingParts weighing;
    std::vector<PackageParts> packages;
    std::vector<ZoneParts> zones;
    std::vector<DepartedParts> departed;
    std::vector<UsageParts> departed_totals, own, helpers;
};

struct Malformed {
    std::string message;
};

/// The words of a name, and how far they were read.
class Words {
public:
    explicit Words(std::string_view name) : name_(name), rest_(name) {}

    /// The next word, empty at the end.
    std::string_view next() {
        size_t dot = rest_.find('.');
        std::string_view word = rest_.substr(0, dot);
        rest_ = dot == std::string_view::npos ? std::string_view{} : rest_.substr(dot + 1);
        return word;
    }

    [[nodiscard]] std::string_view name() const { return name_; }

private:
    std::string_view name_, rest_;
};

std::optional<size_t> index_of(std::string_view word) {
    size_t value = 0;
    const char* end = word.data() + word.size();
    auto [stop, error] = std::from_chars(word.data(), end, value);
    if (word.empty() || error != std::errc{} || stop != end) return std::nullopt;
    return value;
}

template <typename T>
T& at(std::vector<T>& items, size_t n, size_t limit, std::string_view name) {
    if (n >= limit) throw Malformed{fmt::format("{}: index {} is above {}", name, n, limit - 1)};
    if (n >= items.size()) items.resize(n + 1);
    return items[n];
}

template <typename T, typename Wire = T>
void take(std::optional<T>& field, const Param& param) {
    const Wire* value = std::get_if<Wire>(&param.value);
    if (!value) throw Malformed{fmt::format("{}: unexpected type", param.name)};
    field = static_cast<T>(*value);
}

void take_usage(UsageParts& usage, std::string_view word, const Param& param) {
    if (word == "time") take(usage.time_ns, param);
    if (word == "cycles") take(usage.cycles, param);
    if (word == "weight") take(usage.weight, param);
}

/// "time", or "helper.time": of a domain, and of the part of it that is no vCPU's.
bool take_own(std::vector<UsageParts>& all, std::vector<UsageParts>& helpers, size_t n, std::string_view word,
              Words& words, const Param& param) {
    if (word == "helper") {
        take_usage(at(helpers, n, max_packages, param.name), words.next(), param);
        return true;
    }
    if (word != "time" && word != "cycles" && word != "weight") return false;
    take_usage(at(all, n, max_packages, param.name), word, param);
    return true;
}

void take_weighing(WeighingParts& weighing, std::string_view word, const Param& param) {
    if (word == "shared") take(weighing.shared_permille, param);
    if (word == "cycle") take(weighing.cycle_permille, param);
    if (word == "square") take(weighing.square_permille, param);
    if (word == "measured") take(weighing.measured, param);
}

void take_host(RecordParts& parts, Words& words, const Param& param) {
    std::string_view word = words.next();
    if (word == "epoch") take(parts.epoch, param);
    if (word == "time") take(parts.time_ns, param);
    if (word == "usage") take(parts.host_usage, param);
    if (word == "interval") take(parts.interval_ns, param);
    if (word == "domains") take(parts.vm_count, param);
    if (word == "cycles" && words.next() == "gaps") take(parts.gaps, param);
    if (word == "weight") take_weighing(parts.weighing, words.next(), param);
}

void take_host_use(PackageParts& package, std::string_view word, const Param& param) {
    take_usage(package.host, word, param);
    if (word == "shared") take(package.shared, param);
    if (word == "squared") take(package.squared, param);
}

void take_package(RecordParts& parts, Words& words, const Param& param) {
    std::string_view word = words.next();
    if (word == "count") return take(parts.package_count, param);
    std::optional<size_t> n = index_of(word);
    if (!n) return;
    word = words.next();
    if (take_own(parts.own, parts.helpers, *n, word, words, param)) return;
    PackageParts& package = at(parts.packages, *n, max_packages, param.name);
    if (word == "id") take<int64_t, int32_t>(package.id, param);
    if (word == "host") take_host_use(package, words.next(), param);
    if (word == "vms") take_usage(package.vms, words.next(), param);
    if (word == "frequency") take(package.frequency_khz, param);
}

void take_zone(RecordParts& parts, Words& words, const Param& param) {
    std::string_view word = words.next();
    if (word == "count") return take(parts.zone_count, param);
    std::optional<size_t> n = index_of(word);
    if (!n) return;
    ZoneParts& zone = at(parts.zones, *n, max_zones, param.name);
    word = words.next();
    if (word == "name") take(zone.name, param);
    if (word == "type") take(zone.type, param);
    if (word == "package") take(zone.package, param);
    if (word == "source") take(zone.source, param);
    if (word == "counted") take(zone.counted, param);
    if (word == "gaps") take(zone.gaps, param);
    if (word == "energy") take(zone.energy_uj, param);
    if (word == "static") take(zone.static_uw, param);
    if (word == "limit") take(zone.limit_uw, param);
}

void take_departed(RecordParts& parts, Words& words, const Param& param) {
    std::string_view word = words.next();
    if (word == "count") return take(parts.departed_count, param);
    if (word == "package") {
        if (std::optional<size_t> n = index_of(words.next()))
            take_usage(at(parts.departed_totals, *n, max_packages, param.name), words.next(), param);
        return;
    }
    std::optional<size_t> n = index_of(word);
    if (!n) return;
    DepartedParts& departed = at(parts.departed, *n, max_departed, param.name);
    word = words.next();
    if (word == "name") take(departed.name, param);
    if (word == "uuid") take(departed.uuid, param);
    if (word == "instance") take(departed.instance, param);
    if (word == "package")
        if (std::optional<size_t> m = index_of(words.next()))
            (void)take_own(departed.packages, departed.helpers, *m, words.next(), words, param);
}

void take_param(RecordParts& parts, const Param& param) {
    Words words(param.name);
    if (words.next() != "energy") return;
    std::string_view word = words.next();
    if (word == "host") take_host(parts, words, param);
    if (word == "package") take_package(parts, words, param);
    if (word == "zone") take_zone(parts, words, param);
    if (word == "departed") take_departed(parts, words, param);
    if (word == "instance") take(parts.instance, param);
    if (word == "usage") take(parts.usage, param);
    if (word == "status") {
        std::optional<std::string> status;
        take(status, param);
        parts.status = *status;
    }
}

template <typename T>
const T& need(const std::optional<T>& field, std::string_view name) {
    if (!field) throw Malformed{fmt::format("{} is missing", name)};
    return *field;
}

void need_count(std::optional<uint32_t> count, size_t found, std::string_view name) {
    if (need(count, name) != found)
        throw Malformed{fmt::format("{} is {}, but {} are there", name, *count, found)};
}

UsageSource usage_source(const std::string& word, std::string_view name) {
    if (word == "bpf") return UsageSource::Bpf;
    if (word == "proc") return UsageSource::Proc;
    throw Malformed{fmt::format("{}: unknown value", name)};
}

Usage usage(const UsageParts& parts, std::string_view what, size_t n) {
    if (!parts.time_ns) throw Malformed{fmt::format("energy.{}.{}: time is missing", what, n)};
    return {*parts.time_ns, parts.cycles, parts.weight};
}

std::vector<Usage> usages(const std::vector<UsageParts>& parts, std::string_view what) {
    std::vector<Usage> result;
    result.reserve(parts.size());
    for (size_t n = 0; n < parts.size(); n++) result.push_back(usage(parts[n], what, n));
    return result;
}

/// All packages have them, or none.
std::vector<Usage> helpers(const std::vector<UsageParts>& parts, size_t packages, std::string_view what) {
    if (!parts.empty() && parts.size() != packages)
        throw Malformed{
            fmt::format("energy.{}: {} packages, but {} with helper", what, packages, parts.size())};
    return usages(parts, fmt::format("{}.helper", what));
}

/// Weights mean nothing without it.
std::optional<Weighing> weighing(const WeighingParts& parts) {
    if (!parts.shared_permille || !parts.cycle_permille || !parts.square_permille) return std::nullopt;
    return Weighing{*parts.shared_permille, *parts.cycle_permille, *parts.square_permille,
                    parts.measured.value_or(false)};
}

ZoneReading zone(const ZoneParts& parts, size_t n, size_t packages) {
    if (!parts.name || !parts.type || !parts.source || !parts.counted)
        throw Malformed{fmt::format("energy.zone.{}: name, type, source or counted is missing", n)};
    if (parts.package && *parts.package >= packages)
        throw Malformed{fmt::format("energy.zone.{}.package: there is no package {}", n, *parts.package)};
    return {*parts.name,    *parts.type,     parts.package,          *parts.source,
            *parts.counted, parts.energy_uj, parts.gaps.value_or(0), parts.static_uw,
            parts.limit_uw};
}

DomainUsage departed(const DepartedParts& parts, size_t n) {
    if (!parts.name || !parts.uuid || !parts.instance)
        throw Malformed{fmt::format("energy.departed.{}: name, uuid or instance is missing", n)};
    return {*parts.name,     *parts.uuid,
            *parts.instance, usages(parts.packages, "departed.package"),
            std::nullopt,    helpers(parts.helpers, parts.packages.size(), "departed.package")};
}

HostReading host(const RecordParts& parts) {
    HostReading result;
    result.epoch = need(parts.epoch, "energy.host.epoch");
    result.time_ns = need(parts.time_ns, "energy.host.time");
    result.usage_source = usage_source(need(parts.host_usage, "energy.host.usage"), "energy.host.usage");
    result.cycles_gaps = parts.gaps;
    result.interval_ns = parts.interval_ns;
    result.vm_count = parts.vm_count;
    result.weighing = weighing(parts.weighing);
    need_count(parts.package_count, parts.packages.size(), "energy.package.count");
    for (size_t n = 0; n < parts.packages.size(); n++) {
        const PackageParts& package = parts.packages[n];
        if (!package.id) throw Malformed{fmt::format("energy.package.{}.id is missing", n)};
        result.packages.push_back({*package.id, usage(package.host, "package.host", n),
                                   usage(package.vms, "package.vms", n), package.frequency_khz,
                                   package.shared, package.squared});
    }
    need_count(parts.zone_count, parts.zones.size(), "energy.zone.count");
    for (size_t n = 0; n < parts.zones.size(); n++)
        result.zones.push_back(zone(parts.zones[n], n, parts.packages.size()));
    need_count(parts.departed_count, parts.departed.size(), "energy.departed.count");
    for (size_t n = 0; n < parts.departed.size(); n++)
        result.departed.push_back(departed(parts.departed[n], n));
    result.departed_totals = usages(parts.departed_totals, "departed.package");
    return result;
}

DomainUsage domain(const RecordParts& parts) {
    DomainUsage result;
    result.instance = need(parts.instance, "energy.instance");
    result.packages = usages(parts.own, "package");
    result.helpers = helpers(parts.helpers, parts.own.size(), "package");
    if (parts.usage) result.usage_source = usage_source(*parts.usage, "energy.usage");
    return result;
}

bool has_host(const RecordParts& parts) {
    return parts.epoch || parts.time_ns || parts.host_usage || parts.package_count || parts.zone_count ||
           parts.departed_count || !parts.packages.empty() || !parts.zones.empty();
}

}  // namespace

Result<DecodedRecord> decode_record(const std::vector<Param>& params) {
    try {
        RecordParts parts;
        for (const Param& param : params) take_param(parts, param);
        DecodedRecord record;
        record.status = parts.status;
        if (has_host(parts)) record.host = host(parts);
        if (parts.instance || !parts.own.empty()) record.domain = domain(parts);
        return record;
    } catch (const Malformed& malformed) {
        return Error{ErrorKind::Malformed, 0, malformed.message};
    }
}

}  // namespace virt_power
