// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The one place where a Reading's fields meet the names of the stats group
/// `energy`: the plugin encodes, the client decodes.
#ifndef VIRT_POWER_UTIL_READING_CODEC_HPP
#define VIRT_POWER_UTIL_READING_CODEC_HPP

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "virt-power/reading.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

/// Bit of the group in virConnectGetAllDomainStats. Far above upstream's.
inline constexpr unsigned int energy_stats_bit = 1U << 28;

/// Holds every alternative of libvirt's typed parameters, in their order.
using ParamValue = std::variant<int32_t, uint32_t, int64_t, uint64_t, double, bool, std::string>;

struct Param {
    std::string name;
    ParamValue value;

    bool operator==(const Param&) const = default;
};

/// Receives name and value; returns false to stop.
using ParamSink = std::function<bool(std::string_view name, const ParamValue& value)>;

/// What belongs into the first record: host, packages, zones, departed
/// domains. False if the sink stopped it.
bool encode_host(const HostReading& host, const ParamSink& sink);

/// What the record of a domain does not have by itself.
struct DomainFigures {
    uint64_t instance = 0;
    std::optional<UsageSource> usage_source;
    std::span<const Usage> packages;
    std::span<const Usage> helpers;
};

/// What belongs into the record of one domain.
bool encode_domain(const DomainFigures& domain, const ParamSink& sink);
inline bool encode_domain(const DomainUsage& domain, const ParamSink& sink) {
    return encode_domain({domain.instance, domain.usage_source, domain.packages, domain.helpers}, sink);
}

struct DecodedRecord {
    std::string status;                 ///< energy.status; empty if absent
    std::optional<HostReading> host;    ///< in the first record only
    std::optional<DomainUsage> domain;  ///< name and uuid stay empty: the record has them
};

/// Takes a record apart. Names outside `energy.` and names that this version
/// does not know are passed over. Malformed: a wrong type, an index out of
/// bounds, a part that the rest needs is absent; the message names it.
Result<DecodedRecord> decode_record(const std::vector<Param>& params);

/// One line of docs/metrics.md.
struct MetricDoc {
    std::string_view name;     ///< with N and M for indices
    std::string_view type;     ///< of the typed parameter
    std::string_view unit;     ///< ns, µJ, µW, kHz, cycles or "-"
    std::string_view kind;     ///< counter, gauge or constant
    std::string_view records;  ///< first or every
    std::string_view source;   ///< where the number is from
    std::string_view text;
};

/// Every name of the group, in the order in which it is emitted.
const std::vector<MetricDoc>& metric_docs();

}  // namespace virt_power

#endif
