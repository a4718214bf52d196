// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The seam between the client's logic and libvirt: what is needed of a
/// connection, so that tests can play a daemon.
#ifndef VIRT_POWER_CLIENT_CONNECTION_HPP
#define VIRT_POWER_CLIENT_CONNECTION_HPP

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reading_codec.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

/// What is asked once per connection.
struct HostFacts {
    std::string uri;
    std::string hostname;
    uint32_t cpus = 0;  ///< online; 0 if not known
};

struct DomainRecord {
    std::string name;
    std::string uuid;
    std::vector<Param> params;
};

/// Which stats of the running domains are wanted.
enum class Groups {
    Energy,
    EnergyAndCpu,  ///< with libvirt's `cpu.time`; skips domains that would have to be waited for
    Allocation,    ///< `vcpu.current` and `balloon.current` alone; waits for no domain
};

/// A connection that is open until it is destroyed. Calls may block for ever.
class Connection {
public:
    virtual ~Connection() = default;

    [[nodiscard]] virtual HostFacts facts() = 0;

    /// One call for all running domains. Error kinds: Gone when the
    /// connection is of no more use, Denied, Unsupported, else Transient.
    [[nodiscard]] virtual Result<std::vector<DomainRecord>> stats(Groups groups) = 0;
};

/// Opens a connection. Error kinds: Gone when a later try may succeed, Denied,
/// Unsupported or Malformed when it will not.
using Connector = std::function<Result<std::unique_ptr<Connection>>(const std::string& uri, bool read_only)>;

/// The real one.
Connector libvirt_connector();

}  // namespace virt_power

#endif
