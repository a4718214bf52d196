// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The pipe: a Source yields samples, an Attributor turns two of them into an
/// interval, Sinks take intervals. The three do not know each other.
///
/// Threads: an object is used by one thread at a time. Different objects may
/// be used by different threads at once.
#ifndef VIRT_POWER_PIPELINE_HPP
#define VIRT_POWER_PIPELINE_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "virt-power/export.hpp"
#include "virt-power/interval.hpp"
#include "virt-power/result.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

/// Yields the samples of one host.
class VIRT_POWER_API Source {
public:
    virtual ~Source() = default;

    /// One sample, or an Error: Gone or Transient when the daemon does not
    /// answer (a later call tries again, no more often than the source's
    /// back-off allows), Denied, Unsupported or Malformed when trying again is
    /// likely of no use. Returns within the source's own timeout.
    [[nodiscard]] virtual Result<Sample> sample() = 0;
};

struct LibvirtOptions {
    std::string uri;                           ///< empty: LIBVIRT_DEFAULT_URI or libvirt's own choice
    std::chrono::milliseconds timeout{10000};  ///< for one sample, connecting included
    bool read_only = false;                    ///< never ask for more; else read-only where that suffices
    /// Fill DomainSample::vcpus and memory_kib: one further call at the first sample, for a domain that is
    /// new, and each minute.
    bool allocations = false;
};

/// A host over libvirt's RPC: one call a sample. A call that does not come
/// back within the timeout is left to a thread of its own, and another
/// connection is tried. Silences libvirt's default error printing. Since 0.1.
VIRT_POWER_API std::unique_ptr<Source> make_libvirt_source(const LibvirtOptions& options);

struct AttributionOptions {
    Model model = Model::HostShare;
    StaticPolicy static_policy = StaticPolicy::Separate;
    /// Static power in microwatts, by zone name; the key "" stands for each
    /// counted zone of type package. Goes before what a reading holds.
    std::map<std::string, uint64_t, std::less<>> static_uw;
    /// For other zones ZoneReading::static_uw serves.
    bool use_measured_static = true;
};

/// What a sample led to.
struct Attributed {
    std::optional<Interval> interval;  ///< absent for the first sample, and where no interval closes
    std::vector<std::string> notices;  ///< one line each (counters restarted, no domain runs...)
    /// No interval yet, but one will come: this client gets readings less often than it asks,
    /// or a zone only begins to count.
    bool waiting = false;
};

/// Turns the samples of one host, in order, into intervals. Arithmetic only.
/// A sample without a reading closes no interval: the next one spans it. Since 0.1.
class VIRT_POWER_API Attributor {
public:
    explicit Attributor(AttributionOptions options);
    ~Attributor();
    Attributor(Attributor&&) noexcept;
    Attributor& operator=(Attributor&&) noexcept;

    Attributed add(const Sample& sample);

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Takes intervals.
class VIRT_POWER_API Sink {
public:
    virtual ~Sink();

    /// All intervals of one tick: one per host that closed one. May be empty.
    /// Error: the output is gone (Gone) or cannot be written (Transient).
    [[nodiscard]] virtual Status write(const std::vector<Interval>& intervals) = 0;

    /// One line for people, shown where the sink has a place for it.
    virtual void notice(std::string_view line);

    /// Leaves a terminal to others, as before the process is stopped; the next write takes it again.
    virtual void suspend();
};

}  // namespace virt_power

#endif
