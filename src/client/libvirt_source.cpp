// SPDX-License-Identifier: LGPL-2.1-or-later
#include <memory>

#include "guarded_source.hpp"
#include "session.hpp"

namespace virt_power {

std::unique_ptr<Source> make_libvirt_source(const LibvirtOptions& options) {
    SessionOptions session_options{options.uri, options.read_only, options.allocations};
    auto factory = [session_options]() -> Sampler {
        auto session = std::make_shared<Session>(session_options, libvirt_connector(), system_clocks());
        return [session] { return session->sample(); };
    };
    std::string what = options.uri.empty() ? "libvirt" : options.uri;
    return std::make_unique<GuardedSource>(factory, options.timeout, what);
}

}  // namespace virt_power
