// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// One host's connection over time: opens it, keeps it, opens it again; asks
/// for what the daemon can give and turns it into samples.
#ifndef VIRT_POWER_CLIENT_SESSION_HPP
#define VIRT_POWER_CLIENT_SESSION_HPP

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "allocation_cache.hpp"
#include "back_off.hpp"
#include "connection.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

struct Clocks {
    std::function<int64_t()> monotonic_ns;
    std::function<int64_t()> wall_ns;
};

/// The system's.
Clocks system_clocks();

struct SessionOptions {
    std::string uri;
    bool read_only = false;
    bool allocations = false;  ///< as LibvirtOptions::allocations
};

/// Used by one thread at a time.
class Session {
public:
    Session(SessionOptions options, Connector connector, Clocks clocks);

    /// One call to the daemon, but for the first sample, after a change of
    /// energy.status, and where allocations are due. May block for ever. Between two tries to connect it
    /// gives the last error without a try until the back-off is over.
    Result<Sample> sample();

private:
    [[nodiscard]] Status connect(bool read_only);
    Error lost(Error error);
    [[nodiscard]] Result<Sample> ask();
    [[nodiscard]] Result<Sample> ask_once();
    void add_allocations(Sample& sample);
    bool try_read_write(const Sample& sample);
    void use(std::unique_ptr<Connection> connection, bool read_only);

    SessionOptions options_;
    Connector connector_;
    Clocks clocks_;
    BackOff back_off_;
    AllocationCache allocations_;  ///< as this connection tells them
    std::unique_ptr<Connection> connection_;
    HostFacts facts_;
    bool read_only_ = true;
    bool wants_read_write_ = false;    ///< read-only did not suffice once
    bool read_write_refused_ = false;  ///< on this connection
    bool told_refused_ = false;
    bool told_no_allocations_ = false;
    bool wants_cpu_ = false;              ///< the energy group gives nothing
    std::optional<EnergyStatus> status_;  ///< of the last records
    std::optional<Error> last_error_;
    std::vector<std::string> notices_;
};

}  // namespace virt_power

#endif
