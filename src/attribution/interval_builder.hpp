// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Puts the uses of one interval together: basis, rest, hidden domains, rows.
#ifndef VIRT_POWER_ATTRIBUTION_INTERVAL_BUILDER_HPP
#define VIRT_POWER_ATTRIBUTION_INTERVAL_BUILDER_HPP

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "allocation.hpp"
#include "division.hpp"
#include "host_ledger.hpp"
#include "use_ledger.hpp"
#include "virt-power/pipeline.hpp"

namespace virt_power {

/// Static power of a zone by the options alone.
std::optional<uint64_t> given_static_uw(const AttributionOptions& options, std::string_view zone,
                                        std::string_view type);

/// For one interval. Keeps references to what it is given.
class IntervalBuilder {
public:
    IntervalBuilder(const AttributionOptions& options, const Sample& sample, const HostReading& reading,
                    const HostUses& host, const DomainUses& domains);

    Interval build(std::vector<ZoneInterval> zones);

    /// Why static power is a row of its own though it was to be divided by allocation: as
    /// Allocations, but empty where there is none to divide. After build().
    [[nodiscard]] const Allocations& allocations() const { return allocations_; }

private:
    enum class Measure { Time, Cycles, Weight };

    /// Use of `other` and of the rest of the host, per package.
    struct Remainder {
        std::vector<uint64_t> other;
        std::vector<uint64_t> rest;
    };

    [[nodiscard]] Remainder remainder(const std::vector<uint64_t>& visible, Measure measure) const;
    [[nodiscard]] std::optional<Basis> basis() const;
    [[nodiscard]] std::optional<bool> weights_measured() const;
    [[nodiscard]] std::optional<uint64_t> static_uw(size_t zone) const;
    [[nodiscard]] Participants participants();
    [[nodiscard]] std::vector<ZoneParts> divide(const Participants& who) const;
    void drop_idle_problems(const std::vector<ZoneParts>& parts);
    void add_rows(const Participants& who, const std::vector<ZoneParts>& parts);
    void add_domain_row(size_t domain, const std::vector<ZoneParts>& parts);
    Row& add_row(RowKind kind);
    void set_use(Row& row, const uint64_t* time_ns, const uint64_t* cycles) const;
    void set_energy(Row& row, const std::vector<uint64_t>& by_zone);
    void set_helpers(Row& row, size_t domain, const std::vector<ZoneParts>& parts) const;

    const AttributionOptions& options_;
    const Sample& sample_;
    const HostReading& reading_;
    const HostUses& host_;
    const DomainUses& domains_;
    bool by_cycles_, by_weight_;
    Remainder time_, cycles_, weights_;
    Allocations allocations_;
    double capacity_ns_;
    Interval interval_;
    std::vector<uint32_t> counted_;  ///< indices of the counted zones
    uint64_t total_uj_ = 0;
};

}  // namespace virt_power

#endif
