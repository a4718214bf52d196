// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What clients of libvirt ask of the host's knobs: who may see what, who changed what,
/// and a kernel that does not answer.
#ifndef VIRT_POWER_PLUGIN_HOST_KNOBS_HPP
#define VIRT_POWER_PLUGIN_HOST_KNOBS_HPP

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "clock.hpp"
#include "config.hpp"
#include "cpu_topology.hpp"
#include "knob_change.hpp"
#include "knob_params.hpp"
#include "log.hpp"
#include "serial_worker.hpp"

namespace virt_power {

enum class KnobTopic { Governor, Frequency, RaplLimit };

struct KnobOptions {
    std::filesystem::path root = "/";
    std::filesystem::path state_dir;
    std::string boot_id;  ///< see KnobJournal
    Log log;
    Clock now_ns = boottime_ns;
    WriteFile write_file = write_kernel_file;
    std::chrono::milliseconds read_patience{5'000};
    std::chrono::milliseconds write_patience{20'000};
};

/// A change that a client asks for.
struct KnobOrder {
    KnobTopic topic = KnobTopic::Governor;
    std::optional<std::string> target;  ///< CPUs or a zone's name; absent: all
    Params params;
    bool restore = false;
    bool all_packages = false;
    std::string who;  ///< for the log
};

/// Threads: any. All throw KnobError. The kernel's files are touched in one thread, one
/// call after the other; who waits for them too long gets a Timeout.
class HostKnobs {
public:
    explicit HostKnobs(KnobOptions options);
    ~HostKnobs();

    /// \param rule what this client may see of what changes with the load
    [[nodiscard]] Params get(KnobTopic topic, const std::optional<std::string>& target, ReadOnlyRule rule);

    /// What was changed. Each change is logged with who, what, from and to.
    Params set(const KnobOrder& order);

    /// Fills in frequencies and limits, which are a second old at the most; the first that ever appears may
    /// come ten seconds late. Where the kernel does not answer
    /// at once, they are those from before, five seconds old at the most, or left out. Not to be called while
    /// `topology` is refreshed.
    void add_state(HostReading& host, const CpuTopology& topology);
    /// The first half of add_state(): what may take time.
    void refresh_state();

private:
    struct Shared;
    SerialWorker worker_;  // before what its jobs use; they hold that themselves
    std::shared_ptr<Shared> shared_;
};

}  // namespace virt_power

#endif
