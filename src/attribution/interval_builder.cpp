// SPDX-License-Identifier: LGPL-2.1-or-later
#include "interval_builder.hpp"

#include <algorithm>

#include "arithmetic.hpp"
#include "cpu_only.hpp"

namespace virt_power {
namespace {

uint64_t sum_of(const uint64_t* cells, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) sum = add_capped(sum, cells[i]);
    return sum;
}

/// What a row with `whole` of use got for `part` of it.
uint64_t share_of(uint64_t energy_uj, uint64_t part, uint64_t whole) {
    if (whole == 0) return 0;
    return static_cast<uint64_t>(Uint128{energy_uj} * std::min(part, whole) / whole);
}

bool any(const std::vector<uint64_t>& cells) {
    return std::any_of(cells.begin(), cells.end(), [](uint64_t cell) { return cell != 0; });
}

}  // namespace

std::optional<uint64_t> given_static_uw(const AttributionOptions& options, std::string_view zone,
                                        std::string_view type) {
    auto found = options.static_uw.find(zone);
    if (found == options.static_uw.end() && type == "package") found = options.static_uw.find("");
    if (found == options.static_uw.end()) return std::nullopt;
    return found->second;
}

IntervalBuilder::IntervalBuilder(const AttributionOptions& options, const Sample& sample,
                                 const HostReading& reading, const HostUses& host, const DomainUses& domains)
    : options_(options),
      sample_(sample),
      reading_(reading),
      host_(host),
      domains_(domains),
      by_cycles_(host.cycles_known && domains.cycles_known),
      // Weights of cycles and weights of time do not go together.
      by_weight_(host.weights_known && domains.weights_known &&
                 (by_cycles_ || (!host.counts_cycles && !domains.counts_cycles))),
      time_(remainder(domains.time_ns, Measure::Time)),
      cycles_(remainder(domains.cycles, Measure::Cycles)),
      weights_(remainder(domains.weights, Measure::Weight)),
      capacity_ns_(static_cast<double>(host.duration_ns) * sample.host_cpus) {}

/// The sums are taken from the same pass, but in fallback not at the same
/// instant: what is seen of the domains cannot be more than their sum, nor that more
/// than the host's.
IntervalBuilder::Remainder IntervalBuilder::remainder(const std::vector<uint64_t>& visible,
                                                      Measure measure) const {
    auto of = [measure](const Usage& usage) {
        if (measure == Measure::Time) return usage.time_ns;
        return (measure == Measure::Cycles ? usage.cycles : usage.weight).value_or(0);
    };
    size_t packages = host_.host.size();
    Remainder result{std::vector<uint64_t>(packages, 0), std::vector<uint64_t>(packages, 0)};
    std::vector<uint64_t> seen(packages, 0);
    for (size_t i = 0; i < visible.size(); i += packages)
        for (size_t p = 0; p < packages; ++p) seen[p] = add_capped(seen[p], visible[i + p]);
    for (size_t p = 0; p < packages; ++p) {
        uint64_t vms = of(host_.vms[p]), all = of(host_.host[p]);
        result.other[p] = subtract_clamped(vms, seen[p]);
        result.rest[p] = subtract_clamped(all, std::max(vms, seen[p]));
    }
    return result;
}

std::optional<Basis> IntervalBuilder::basis() const {
    if (host_.host.empty()) return std::nullopt;
    if (by_cycles_) return Basis::Cycles;
    bool proc = reading_.usage_source == UsageSource::Proc || domains_.fallback;
    return proc ? Basis::ProcTime : Basis::Time;
}

std::optional<uint64_t> IntervalBuilder::static_uw(size_t zone) const {
    const ZoneReading& reading = reading_.zones[zone];  // in the order of the interval's zones
    std::optional<uint64_t> given = given_static_uw(options_, reading.name, reading.type);
    if (given) return given;
    return options_.use_measured_static ? reading.static_uw : std::nullopt;
}

Participants IntervalBuilder::participants() {
    Participants who;
    const Remainder& remainder = by_weight_ ? weights_ : by_cycles_ ? cycles_ : time_;
    who.packages = host_.host.size();
    who.vm_use = by_weight_ ? domains_.weights : by_cycles_ ? domains_.cycles : domains_.time_ns;
    who.vm_use.insert(who.vm_use.end(), remainder.other.begin(), remainder.other.end());
    who.host_rest = remainder.rest;
    who.running.assign(domains_.domains.size(), 1);
    who.running.push_back(subtract_clamped(reading_.vm_count.value_or(0), sample_.domains.size()));
    if (options_.static_policy == StaticPolicy::Allocation) {
        allocations_ = allocations_of(domains_.domains, who.running.back());
        who.vcpus = allocations_.vcpus;
        who.memory_kib = allocations_.memory_kib;
    }
    return who;
}

/// What cannot be divided matters only where there is something to divide.
void IntervalBuilder::drop_idle_problems(const std::vector<ZoneParts>& parts) {
    if (std::any_of(parts.begin(), parts.end(), [](const ZoneParts& part) { return part.static_power != 0; }))
        return;
    allocations_.hidden.clear();
    allocations_.unknown.clear();
}

std::vector<ZoneParts> IntervalBuilder::divide(const Participants& who) const {
    std::vector<ZoneParts> parts;
    parts.reserve(counted_.size());
    for (uint32_t z : counted_) {
        const ZoneInterval& zone = interval_.zones[z];
        ZoneToDivide todo{zone.energy_uj.value_or(0), zone.package, static_uw(z), zone.type == "dram"};
        parts.push_back(divide_zone(todo, who, options_.model, options_.static_policy, host_.duration_ns));
    }
    return parts;
}

Row& IntervalBuilder::add_row(RowKind kind) {
    Row& row = interval_.rows.emplace_back();
    row.kind = kind;
    return row;
}

void IntervalBuilder::set_use(Row& row, const uint64_t* time_ns, const uint64_t* cycles) const {
    size_t packages = host_.host.size();
    if (packages == 0) return;
    row.cpu_time_ns = sum_of(time_ns, packages);
    if (by_cycles_) row.cycles = sum_of(cycles, packages);
    if (capacity_ns_ > 0) row.cpu_share = static_cast<double>(*row.cpu_time_ns) / capacity_ns_;
}

void IntervalBuilder::set_energy(Row& row, const std::vector<uint64_t>& by_zone) {
    if (counted_.empty()) return;
    row.energy_uj = sum_of(by_zone.data(), by_zone.size());
    if (total_uj_ != 0)
        row.energy_share = static_cast<double>(*row.energy_uj) / static_cast<double>(total_uj_);
    row.zones.reserve(by_zone.size());
    for (size_t i = 0; i < by_zone.size(); ++i) row.zones.push_back({counted_[i], by_zone[i]});
}

/// Of each zone, the part of what was divided by use. Weights are of helpers, too, or nothing is known.
void IntervalBuilder::set_helpers(Row& row, size_t domain, const std::vector<ZoneParts>& parts) const {
    const DomainUse& use = domains_.domains[domain];
    if (!use.helpers_known) return;
    size_t packages = domains_.packages, cell = domain * packages;
    row.helper_time_ns = sum_of(domains_.helper_ns.data() + cell, packages);
    if (!row.energy_uj || (by_weight_ && !use.helper_weights_known)) return;
    const uint64_t* part = (by_weight_ ? domains_.helper_weights : domains_.helper_ns).data() + cell;
    const uint64_t* whole = (by_weight_ ? domains_.weights : domains_.time_ns).data() + cell;
    uint64_t energy_uj = 0;
    for (size_t z = 0; z < parts.size(); ++z) {
        const std::optional<uint32_t>& package = interval_.zones[counted_[z]].package;
        uint64_t helpers = package ? part[*package] : sum_of(part, packages);
        uint64_t all = package ? whole[*package] : sum_of(whole, packages);
        energy_uj = add_capped(energy_uj, share_of(parts[z].by_use[domain], helpers, all));
    }
    row.helper_energy_uj = energy_uj;
}

void IntervalBuilder::add_domain_row(size_t domain, const std::vector<ZoneParts>& parts) {
    const DomainUse& use = domains_.domains[domain];
    Row& row = add_row(use.kind);
    row.name = use.domain->name;
    row.uuid = use.domain->uuid;
    if (use.domain->instance != 0) row.instance = use.domain->instance;
    size_t cell = domain * domains_.packages;
    if (use.known) set_use(row, domains_.time_ns.data() + cell, domains_.cycles.data() + cell);
    std::vector<uint64_t> by_zone(parts.size(), 0);
    for (size_t z = 0; z < parts.size(); ++z) by_zone[z] = parts[z].vms[domain];
    // Of a domain whose use is not known only its even part of static power is.
    if (use.known || any(by_zone)) set_energy(row, by_zone);
    if (use.known) set_helpers(row, domain, parts);
}

void IntervalBuilder::add_rows(const Participants& who, const std::vector<ZoneParts>& parts) {
    interval_.rows.reserve(who.vm_rows() + 2);
    for (size_t domain = 0; domain < domains_.domains.size(); ++domain) add_domain_row(domain, parts);
    std::vector<uint64_t> other, host, fixed;
    for (const ZoneParts& part : parts) {
        other.push_back(part.vms.back());
        host.push_back(part.host);
        fixed.push_back(part.static_power);
    }
    bool used = any(time_.other) || (by_cycles_ && any(cycles_.other)) || (by_weight_ && any(weights_.other));
    if (used || any(other)) {
        Row& row = add_row(RowKind::Other);
        set_use(row, time_.other.data(), cycles_.other.data());
        set_energy(row, other);
    }
    Row& row = add_row(RowKind::Host);
    set_use(row, time_.rest.data(), cycles_.rest.data());
    set_energy(row, host);
    if (any(fixed)) set_energy(add_row(RowKind::Static), fixed);
}

std::optional<bool> IntervalBuilder::weights_measured() const {
    if (!by_weight_ || !reading_.weighing) return std::nullopt;
    bool shared = std::any_of(reading_.packages.begin(), reading_.packages.end(),
                              [](const PackageReading& package) { return package.shared.has_value(); });
    if (!shared && !reading_.weighing->measured) return std::nullopt;
    return reading_.weighing->measured;
}

Interval IntervalBuilder::build(std::vector<ZoneInterval> zones) {
    interval_.host = sample_.host;
    interval_.uri = sample_.uri;
    interval_.end_wall_ns = sample_.wall_ns;
    interval_.duration_ns = host_.duration_ns;
    interval_.basis = basis();
    interval_.weighed = by_weight_;
    interval_.weights_measured = weights_measured();
    interval_.model = options_.model;
    interval_.static_policy = options_.static_policy;
    interval_.status = sample_.status;
    interval_.zones = std::move(zones);
    interval_.packages.reserve(reading_.packages.size());
    for (const PackageReading& package : reading_.packages)
        interval_.packages.push_back({package.id, package.frequency_khz});
    interval_.idle_included = false;
    for (uint32_t z = 0; z < interval_.zones.size(); ++z) {
        const ZoneInterval& zone = interval_.zones[z];
        if (!zone.counted) continue;
        counted_.push_back(z);
        total_uj_ = add_capped(total_uj_, zone.energy_uj.value_or(0));
        if (zone.type == "package" && !static_uw(z)) interval_.idle_included = true;
    }
    if (counted_.empty()) {
        interval_.reason = reason_for(sample_.status, sample_.status_reason);
        interval_.idle_included = true;
    }
    Participants who = participants();
    std::vector<ZoneParts> parts = divide(who);
    drop_idle_problems(parts);
    add_rows(who, parts);
    return std::move(interval_);
}

}  // namespace virt_power
