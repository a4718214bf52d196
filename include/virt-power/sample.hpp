// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Sample: what a source gives for one host at one time.
#ifndef VIRT_POWER_SAMPLE_HPP
#define VIRT_POWER_SAMPLE_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "virt-power/reading.hpp"

namespace virt_power {

/// `energy.status` and what can stand in for it on the client's side.
enum class EnergyStatus {
    Ok,
    Denied,    ///< this connection may not see energy
    NoPlugin,  ///< the daemon has the group but no plugin
    NoSource,  ///< nothing on this host counts energy
    Error,     ///< the plugin could not read, or the client could not understand it
    NoGroup,   ///< the daemon does not know the group: not patched, or another driver
};

/// A domain that runs, as this client may see it.
struct DomainSample {
    /// name, uuid; instance 0 and no packages where the daemon gave none.
    DomainUsage usage;
    /// `cpu.time` of libvirt's cpu group, ns; only asked for where the energy
    /// group gives nothing.
    std::optional<uint64_t> cpu_time_ns;
    /// What the domain was given, where the source was asked for it.
    std::optional<uint32_t> vcpus = std::nullopt;
    std::optional<uint64_t> memory_kib = std::nullopt;

    bool operator==(const DomainSample&) const = default;
};

struct Sample {
    std::string host;          ///< the host's own name, as virConnectGetHostname
    std::string uri;           ///< as virConnectGetURI
    int64_t wall_ns = 0;       ///< CLOCK_REALTIME of the client; only for display
    int64_t monotonic_ns = 0;  ///< CLOCK_MONOTONIC of the client
    EnergyStatus status = EnergyStatus::NoGroup;
    std::string status_reason;           ///< one line for people; empty when status is Ok
    uint32_t host_cpus = 0;              ///< online CPUs of the host; 0 if not known
    std::optional<HostReading> reading;  ///< absent without records or without permission
    std::vector<DomainSample> domains;
    /// What the source has to tell people, one line each, each once.
    std::vector<std::string> notices;

    bool operator==(const Sample&) const = default;
};

}  // namespace virt_power

#endif
