// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What the hosts of a run are called, and which of them are one and the same.
#ifndef VIRT_POWER_TOOL_HOST_NAMES_HPP
#define VIRT_POWER_TOOL_HOST_NAMES_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace virt_power {

/// What a host says of itself.
struct HostIdentity {
    std::string name;
    std::string uri;
    std::optional<uint64_t> epoch;  ///< of its counters: no two daemons have the same
};

class HostNames {
public:
    /// What each host is asked for by: a URI, or an empty string for libvirt's own choice.
    explicit HostNames(const std::vector<std::string>& given);

    /// By each sample.
    void learn(size_t host, const HostIdentity& identity);

    /// An interval of it is about to be shown. Returns a notice if it is a host that is shown already,
    /// by another URI or spelling: it is a twin then, for good, and not to be shown.
    std::optional<std::string> show(size_t host);

    [[nodiscard]] bool is_known(size_t host) const { return !hosts_[host].is.uri.empty(); }
    [[nodiscard]] bool is_twin(size_t host) const { return hosts_[host].is_twin; }

    /// Hosts, each counted once.
    [[nodiscard]] size_t count() const;

    /// Empty where the host's name tells it from all others, else the name with the host's place
    /// on the command line: kvm1#2.
    [[nodiscard]] std::string distinct(size_t host) const;

    /// What notices call it: of several hosts the name, else the URI.
    [[nodiscard]] std::string label(size_t host) const;

    /// The message with its host before it, if it does not name that itself.
    [[nodiscard]] std::string about(size_t host, std::string_view message) const;

    /// The same of a host that was there.
    [[nodiscard]] std::string lost(size_t host, std::string_view message) const;

private:
    struct Host {
        std::string given;
        HostIdentity is;
        bool is_shown = false;
        bool is_twin = false;
    };

    std::vector<Host> hosts_;
};

/// Its middle left out if it is longer than `most` bytes.
std::string shortened(std::string_view text, size_t most);

}  // namespace virt_power

#endif
