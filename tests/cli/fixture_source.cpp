// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fixture_source.hpp"

#include <unistd.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

namespace virt_power::test {
namespace {

using Json = nlohmann::json;

template <typename Value>
Value word(const Json& json, const std::map<std::string, Value>& words) {
    return words.at(json.get<std::string>());
}

template <typename Number>
std::optional<Number> optional_number(const Json& json, const char* key) {
    if (!json.contains(key)) return std::nullopt;
    return json[key].get<Number>();
}

const std::map<std::string, UsageSource> usage_sources{{"bpf", UsageSource::Bpf},
                                                       {"proc", UsageSource::Proc}};

/// [ns], [ns, cycles] or [ns, cycles or null, weight].
Usage usage_of(const Json& json) {
    Usage usage{json.at(0).get<uint64_t>(), {}};
    if (json.size() > 1 && !json.at(1).is_null()) usage.cycles = json.at(1).get<uint64_t>();
    if (json.size() > 2) usage.weight = json.at(2).get<uint64_t>();
    return usage;
}

DomainUsage domain_of(const Json& json) {
    DomainUsage domain;
    domain.name = json.at("name").get<std::string>();
    domain.uuid = json.at("uuid").get<std::string>();
    domain.instance = json.value("instance", uint64_t{0});
    for (const Json& use : json.value("use", Json::array())) domain.packages.push_back(usage_of(use));
    for (const Json& use : json.value("helpers", Json::array())) domain.helpers.push_back(usage_of(use));
    if (json.contains("usage")) domain.usage_source = word<UsageSource>(json["usage"], usage_sources);
    return domain;
}

ZoneReading zone_of(const Json& json) {
    ZoneReading zone;
    zone.name = json.at("name").get<std::string>();
    zone.type = json.at("type").get<std::string>();
    zone.package = optional_number<uint32_t>(json, "package");
    zone.source = json.value("source", "powercap");
    zone.counted = json.value("counted", true);
    zone.energy_uj = optional_number<uint64_t>(json, "energy_uj");
    zone.gaps = json.value("gaps", uint64_t{0});
    zone.static_uw = optional_number<uint64_t>(json, "static_uw");
    zone.limit_uw = optional_number<uint64_t>(json, "limit_uw");
    return zone;
}

HostReading reading_of(const Json& json) {
    HostReading reading;
    reading.epoch = json.at("epoch").get<uint64_t>();
    reading.time_ns = json.at("time_ns").get<uint64_t>();
    reading.usage_source = word<UsageSource>(json.value("usage", "bpf"), usage_sources);
    reading.vm_count = optional_number<uint32_t>(json, "vm_count");
    reading.interval_ns = optional_number<uint64_t>(json, "interval_ns");
    reading.cycles_gaps = optional_number<uint64_t>(json, "cycles_gaps");
    if (json.contains("weighing")) {
        const Json& weighing = json["weighing"];  // [shared, cycle, square, measured]
        reading.weighing = {weighing.at(0), weighing.at(1), weighing.at(2), weighing.at(3)};
    }
    for (const Json& package : json.value("packages", Json::array()))
        reading.packages.push_back(
            {package.value("id", static_cast<int64_t>(reading.packages.size())), usage_of(package.at("host")),
             usage_of(package.at("vms")), optional_number<uint64_t>(package, "frequency_khz"),
             optional_number<uint64_t>(package, "shared"), optional_number<uint64_t>(package, "squared")});
    for (const Json& zone : json.value("zones", Json::array())) reading.zones.push_back(zone_of(zone));
    for (const Json& total : json.value("departed_totals", Json::array()))
        reading.departed_totals.push_back(usage_of(total));
    for (const Json& domain : json.value("departed", Json::array()))
        reading.departed.push_back(domain_of(domain));
    return reading;
}

/// What a domain was given is told only if it was asked for, as a daemon does.
Sample sample_of(const Json& file, const Json& json, bool allocations) {
    Sample sample;
    sample.host = file.at("host").get<std::string>();
    sample.uri = file.at("uri").get<std::string>();
    sample.host_cpus = file.at("cpus").get<uint32_t>();
    sample.wall_ns = json.at("wall_ns").get<int64_t>();
    sample.monotonic_ns = sample.wall_ns;
    sample.status = word<EnergyStatus>(json.value("status", "ok"), {{"ok", EnergyStatus::Ok},
                                                                    {"denied", EnergyStatus::Denied},
                                                                    {"no-plugin", EnergyStatus::NoPlugin},
                                                                    {"no-source", EnergyStatus::NoSource},
                                                                    {"error", EnergyStatus::Error},
                                                                    {"no-group", EnergyStatus::NoGroup}});
    sample.status_reason = json.value("reason", "");
    if (json.contains("reading")) sample.reading = reading_of(json["reading"]);
    for (const Json& domain : json.value("domains", Json::array()))
        sample.domains.push_back(
            {domain_of(domain), optional_number<uint64_t>(domain, "cpu_time_ns"),
             allocations ? optional_number<uint32_t>(domain, "vcpus") : std::nullopt,
             allocations ? optional_number<uint64_t>(domain, "memory_kib") : std::nullopt});
    for (const Json& notice : json.value("notices", Json::array()))
        sample.notices.push_back(notice.get<std::string>());
    return sample;
}

class FixtureSource : public Source {
public:
    explicit FixtureSource(const LibvirtOptions& options) : allocations_(options.allocations) {
        std::ifstream stream(options.uri);
        if (!stream) throw std::runtime_error("cannot open the fixture " + options.uri);
        file_ = Json::parse(stream);
    }

    Result<Sample> sample() override {
        const Json& samples = file_.at("samples");
        const Json& json = samples.at(std::min(next_, samples.size() - 1));
        ++next_;
        if (json.contains("hang"))
            while (true) pause();
        if (json.contains("error")) {
            auto kind = word<ErrorKind>(json["error"], {{"gone", ErrorKind::Gone},
                                                        {"denied", ErrorKind::Denied},
                                                        {"malformed", ErrorKind::Malformed},
                                                        {"transient", ErrorKind::Transient}});
            return Error{kind, 0, json.at("message").get<std::string>()};
        }
        return sample_of(file_, json, allocations_);
    }

private:
    Json file_;
    size_t next_ = 0;
    bool allocations_;
};

}  // namespace

std::unique_ptr<Source> make_fixture_source(const LibvirtOptions& options) {
    return std::make_unique<FixtureSource>(options);
}

}  // namespace virt_power::test
