// SPDX-License-Identifier: LGPL-2.1-or-later
#include "measurement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "load_windows.hpp"

namespace virt_power {
namespace {

__extension__ using Uint128 = unsigned __int128;

constexpr uint64_t ns_per_s = 1'000'000'000;
/// Nothing that one measures here draws a megawatt: the counter is wrong.
constexpr uint64_t most_uw = 1'000'000'000'000;

/// Ticks of /proc/stat would fill a shorter one.
constexpr uint64_t shortest_window_ns = 50'000'000;

constexpr std::string_view what_to_do =
    "pause or end what runs there (as with virsh suspend), wait until the host is quiet, and try again";

uint64_t sum(const std::vector<uint64_t>& values) {
    return std::accumulate(values.begin(), values.end(), uint64_t{0});
}

uint64_t time_of(const DomainUsage& domain) {
    uint64_t time_ns = 0;
    for (const Usage& usage : domain.packages) time_ns += usage.time_ns;
    return time_ns;
}

/// Rounded down; the largest value where it does not fit.
uint64_t power_of(uint64_t energy_uj, uint64_t duration_ns) {
    Uint128 power = Uint128{energy_uj} * ns_per_s / duration_ns;
    return static_cast<uint64_t>(std::min<Uint128>(power, std::numeric_limits<uint64_t>::max()));
}

/// Standard deviation of a sample.
uint64_t deviation_of(const std::vector<uint64_t>& values) {
    if (values.size() < 2) return 0;
    double mean = 0, squares = 0;
    for (uint64_t value : values) mean += static_cast<double>(value) / static_cast<double>(values.size());
    for (uint64_t value : values) squares += std::pow(static_cast<double>(value) - mean, 2);
    return static_cast<uint64_t>(std::llround(std::sqrt(squares / static_cast<double>(values.size() - 1))));
}

Error refused(std::string message) { return {ErrorKind::Unsupported, 0, std::move(message)}; }

const ZoneReading* find(const std::vector<ZoneReading>& zones, const std::string& name) {
    auto found =
        std::find_if(zones.begin(), zones.end(), [&](const ZoneReading& zone) { return zone.name == name; });
    return found == zones.end() ? nullptr : &*found;
}

}  // namespace

/// Empty if the sample can be used.
std::string Measurement::problem_of(const Sample& sample) const {
    std::string host = sample.host.empty() ? "the host" : sample.host;
    // libvirt gives the host's figures in the first record of a running domain.
    if (sample.domains.empty())
        return fmt::format(
            "no domain runs on {}, and without one libvirt gives no figures of the host: start one and pause "
            "it "
            "(virsh start --paused NAME)",
            host);
    if (sample.status != EnergyStatus::Ok)
        return fmt::format(
            "{} gives no energy: {}", host,
            sample.status_reason.empty() ? "the daemon did not say why" : sample.status_reason);
    if (!sample.reading || sample.reading->packages.empty())
        return fmt::format("{} gives no figures of its CPUs", host);
    if (sample.host_cpus == 0) return fmt::format("the number of CPUs of {} is not known", host);
    if (std::none_of(sample.reading->zones.begin(), sample.reading->zones.end(), has_static_power))
        return fmt::format("{} has no energy counter that counts", host);
    return {};
}

/// Empty if the two readings can be compared.
std::string Measurement::subtract(const HostReading& now, Window& window) const {
    if (now.epoch != before_->epoch) return "the host's counters restarted";
    if (now.time_ns < before_->time_ns) return "the host's clock went back";
    if (now.packages.size() != before_->packages.size()) return "the number of packages changed";
    if (now.usage_source != before_->usage_source) return "the host counts CPU use in another way";
    window.duration_ns = now.time_ns - before_->time_ns;
    for (size_t p = 0; p < now.packages.size(); p++) {
        const PackageReading& old = before_->packages[p];
        const PackageReading& package = now.packages[p];
        if (package.host.time_ns < old.host.time_ns || package.vms.time_ns < old.vms.time_ns)
            return "the host's CPU counters went back";
        window.host_ns.push_back(package.host.time_ns - old.host.time_ns);
        window.vms_ns.push_back(package.vms.time_ns - old.vms.time_ns);
    }
    return {};
}

void Measurement::drop(const std::string& why) {
    dropped_++;
    last_problem_ = why;
    for (Zone& zone : zones_) zone.result.dropped++;
}

double Measurement::percent(uint64_t time_ns, uint64_t duration_ns, size_t packages) const {
    double capacity_ns = static_cast<double>(duration_ns) * cpus_ / static_cast<double>(packages);
    // Energy and CPU time are of the same instant as near as can be, not quite.
    return capacity_ns > 0 ? std::min(100.0, 100 * static_cast<double>(time_ns) / capacity_ns) : 0;
}

void Measurement::add_zone(const ZoneReading& before, const ZoneReading& now, uint64_t duration_ns) {
    auto found = std::find_if(zones_.begin(), zones_.end(),
                              [&](const Zone& zone) { return zone.result.name == now.name; });
    if (found == zones_.end()) {
        Zone fresh;
        fresh.result.name = now.name;
        fresh.result.type = now.type;
        fresh.result.source = now.source;
        fresh.result.dropped = windows_ + dropped_;
        found = zones_.insert(zones_.end(), std::move(fresh));
    }
    bool good = !found->seen && has_static_power(before) && now.source == found->result.source &&
                before.source == now.source && before.gaps == now.gaps && before.energy_uj && now.energy_uj &&
                *now.energy_uj >= *before.energy_uj;
    if (!good) return;
    found->seen = true;
    uint64_t energy_uj = *now.energy_uj - *before.energy_uj;
    found->energy_uj += energy_uj;
    found->duration_ns += duration_ns;
    found->power_uw.push_back(power_of(energy_uj, duration_ns));
}

void Measurement::add_window(const HostReading& now, const Window& window) {
    size_t packages = window.host_ns.size();
    host_ns_.resize(packages);
    vms_ns_.resize(packages);
    duration_ns_ += window.duration_ns;
    for (size_t p = 0; p < packages; p++) {
        host_ns_[p] += window.host_ns[p];
        vms_ns_[p] += window.vms_ns[p];
        highest_percent_ =
            std::max(highest_percent_, percent(window.host_ns[p], window.duration_ns, packages));
    }
    for (Zone& zone : zones_) zone.seen = false;
    for (const ZoneReading& zone : now.zones) {
        const ZoneReading* before = find(before_->zones, zone.name);
        if (before && has_static_power(zone)) add_zone(*before, zone, window.duration_ns);
    }
    for (Zone& zone : zones_)
        if (!zone.seen) zone.result.dropped++;
    windows_++;
}

/// For the one line that says who was busy; counts only what belongs to a window.
void Measurement::add_domains(const std::vector<DomainSample>& domains, bool in_window) {
    for (const DomainSample& domain : domains) {
        uint64_t now_ns = time_of(domain.usage);
        auto [known, added] = domains_.try_emplace({domain.usage.uuid, domain.usage.instance});
        DomainTime& time = known->second;
        time.name = domain.usage.name;
        if (in_window && !added && now_ns > time.last_ns) time.used_ns += now_ns - time.last_ns;
        time.last_ns = now_ns;
    }
}

std::string Measurement::busiest() const {
    uint64_t visible_ns = 0, most_ns = 0;
    std::string who;
    for (const auto& [key, domain] : domains_) {
        visible_ns += domain.used_ns;
        if (domain.used_ns <= most_ns) continue;
        most_ns = domain.used_ns;
        who = "domain " + domain.name;
    }
    uint64_t vms_ns = sum(vms_ns_), host_ns = sum(host_ns_);
    uint64_t hidden_ns = vms_ns > visible_ns ? vms_ns - visible_ns : 0;
    uint64_t rest_ns = host_ns > vms_ns ? host_ns - vms_ns : 0;
    if (hidden_ns > most_ns) {
        most_ns = hidden_ns;
        who = "domains that you may not see";
    }
    if (rest_ns > most_ns) {
        most_ns = rest_ns;
        who = "the host itself, without its domains";
    }
    return fmt::format("{} ({:.1f} % of all CPUs)", who, percent(most_ns, duration_ns_, 1));
}

std::optional<Error> Measurement::too_busy() const {
    if (duration_ns_ == 0) return std::nullopt;
    size_t packages = host_ns_.size();
    uint64_t whole_ns = std::max(duration_ns_, options_.planned_ns);
    std::string how;
    for (size_t p = 0; p < packages && how.empty(); p++) {
        if (percent(host_ns_[p], whole_ns, packages) <= options_.max_busy_percent) continue;
        std::string part = packages > 1 ? fmt::format(" of its package {}", before_->packages[p].id) : "";
        how = fmt::format("its CPUs{} were busy {:.1f} % of {:.1f} s", part,
                          percent(host_ns_[p], duration_ns_, packages),
                          static_cast<double>(duration_ns_) / ns_per_s);
    }
    if (how.empty() && highest_percent_ > far_factor * options_.max_busy_percent)
        how = fmt::format("in one of {} windows its CPUs were busy {:.1f} %", windows_, highest_percent_);
    if (how.empty()) return std::nullopt;
    return refused(fmt::format("{} is not idle: {}, and {} % is allowed (--max-busy). Busiest: {}. To do: {}",
                               host_, how, options_.max_busy_percent, busiest(), what_to_do));
}

Status Measurement::add(const Sample& sample) {
    std::string problem = problem_of(sample);
    if (!problem.empty()) {
        if (!before_) return refused(problem);
        drop(problem);
        return ok();
    }
    const HostReading& now = *sample.reading;
    // The same reading handed out again, or nearly: its window still runs.
    if (before_ && now.epoch == before_->epoch && now.time_ns >= before_->time_ns &&
        now.time_ns - before_->time_ns < shortest_window_ns)
        return ok();
    host_ = sample.host.empty() ? "the host" : sample.host;
    cpus_ = sample.host_cpus;
    Window window;
    if (before_) problem = subtract(now, window);
    bool good = before_ && problem.empty();
    if (good) add_window(now, window);
    if (!problem.empty()) drop(problem);
    add_domains(sample.domains, good);
    before_ = now;
    if (std::optional<Error> busy = too_busy()) return *busy;
    return ok();
}

Status Measurement::check(const Zone& zone) const {
    const ZoneStatic& found = zone.result;
    size_t good = zone.power_uw.size();
    if (good < fewest_windows || good < found.dropped)
        return refused(fmt::format("zone {} of {}: only {} of {} windows could be measured{}", found.name,
                                   host_, good, good + found.dropped,
                                   last_problem_.empty()
                                       ? "; its counter went back, has gaps or could not be read"
                                       : ": " + last_problem_));
    if (zone.energy_uj == 0)
        return refused(fmt::format("zone {} of {}: its counter did not move", found.name, host_));
    if (power_of(zone.energy_uj, zone.duration_ns) > most_uw)
        return refused(fmt::format("zone {} of {}: more than a million watts cannot be", found.name, host_));
    return ok();
}

Result<Calibration> Measurement::result() const {
    if (std::optional<Error> busy = too_busy()) return *busy;
    if (zones_.empty() || windows_ < fewest_windows)
        return refused(
            fmt::format("{}: only {} of {} windows could be measured{}", host_.empty() ? "the host" : host_,
                        windows_, windows_ + dropped_,
                        last_problem_.empty() ? "; take more time (--seconds)" : ": " + last_problem_));
    Calibration calibration;
    calibration.host = host_;
    calibration.seconds = static_cast<double>(duration_ns_) / ns_per_s;
    for (uint64_t time_ns : host_ns_)
        calibration.busy_percent =
            std::max(calibration.busy_percent, percent(time_ns, duration_ns_, host_ns_.size()));
    calibration.busy_highest_percent = highest_percent_;
    for (const Zone& zone : zones_) {
        if (Status good = check(zone); !good) return good.error();
        ZoneStatic found = zone.result;
        found.static_uw = power_of(zone.energy_uj, zone.duration_ns);
        found.deviation_uw = deviation_of(zone.power_uw);
        auto [lowest, highest] = std::minmax_element(zone.power_uw.begin(), zone.power_uw.end());
        found.lowest_uw = *lowest;
        found.highest_uw = *highest;
        found.windows = zone.power_uw.size();
        calibration.zones.push_back(std::move(found));
    }
    return calibration;
}

}  // namespace virt_power
