// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Power limits: zones of intel_rapl below /sys/class/powercap,
/// Documentation/power/powercap/powercap.rst and ABI/testing/sysfs-class-powercap.
///
/// A package may have limits in an MSR (intel-rapl) and in MMIO (intel-rapl-mmio); the
/// lower one binds. Both are shown, and the package's name selects both.
#ifndef VIRT_POWER_HOST_RAPL_LIMITS_HPP
#define VIRT_POWER_HOST_RAPL_LIMITS_HPP

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kernel_file.hpp"
#include "knob_change.hpp"
#include "knob_journal.hpp"

namespace virt_power {

struct RaplConstraint {
    uint32_t index = 0;                      ///< N of constraint_N
    std::string name;                        ///< "long_term"; empty if the driver gives none
    std::optional<uint64_t> power_limit_uw;  ///< constraint_N_power_limit_uw
    std::optional<uint64_t> time_window_us;  ///< constraint_N_time_window_us
    std::optional<uint64_t> max_power_uw;    ///< constraint_N_max_power_uw; 0: the driver does not know
};

struct RaplZone {
    std::string name;                         ///< as in the stats: "package-0", "package-0/dram"
    std::string also_selected_by;             ///< of an MMIO zone: the name of the MSR's; else empty
    std::optional<bool> enabled;              ///< absent where there is no switch
    std::vector<RaplConstraint> constraints;  ///< by index; none on AMD
    std::string directory;                    ///< within /sys/class/powercap
    std::string own_name;                     ///< "package-0", "dram"
};

/// At least one of the values.
struct RaplRequest {
    std::optional<uint64_t> power_limit_uw;
    std::optional<uint64_t> time_window_us;
    std::optional<bool> enabled;            ///< of the whole zone: not together with a constraint
    std::optional<std::string> constraint;  ///< by name or index; absent: 0
};

/// By name, compared with those that were read; absent: the zones of all packages.
using ZoneSelection = std::optional<std::vector<std::string>>;

/// Threads: any; one change at a time. Everything is read when it is asked for.
///
/// set() and restore() throw KnobError. What can be wrong is looked for before anything is
/// written; over several zones a change is all or nothing; what is returned was read back.
class RaplLimits {
public:
    /// \param root "/", or a tree that a test made
    /// \param journal must outlive it
    RaplLimits(const std::filesystem::path& root, KnobJournal& journal, KnobWarn warn,
               WriteFile write_file = write_kernel_file);

    /// Empty where there is no RAPL. One bad zone costs that zone and a warning.
    [[nodiscard]] std::vector<RaplZone> zones() const;

    /// One by its name (a package's MMIO zone comes with it), or all. Throws KnobError;
    /// InvalidArgument: no such zone. Unsupported: no RAPL.
    [[nodiscard]] std::vector<RaplZone> read(const std::optional<std::string>& name) const;

    /// By name of the zone the lowest limit that is in force on it, its MMIO zone's included; without
    /// what is switched off or has none.
    [[nodiscard]] std::map<std::string, uint64_t> read_limits_in_force() const;

    /// Throws KnobError (InvalidArgument) where "the package" could mean several.
    void require_one_package() const;

    /// InvalidArgument: no such zone or constraint, 0, above max_power_uw. Unsupported: no
    /// RAPL, or no such limit here. OperationInvalid: locked by the firmware.
    std::vector<KnobChange> set(const ZoneSelection& selection, const RaplRequest& request);

    /// Puts back what stood before this daemon's first change. Without a selection all
    /// that is recorded; zones that are gone have a failure each.
    KnobRestore restore(const ZoneSelection& selection);

private:
    [[nodiscard]] std::vector<RaplZone> select(const ZoneSelection& selection) const;
    [[nodiscard]] RaplZone zone_at(const std::string& directory) const;
    [[nodiscard]] KnobWrite write_to(const RaplZone& zone, const RaplConstraint* constraint,
                                     const std::string& file, std::string value) const;
    [[nodiscard]] std::vector<KnobWrite> zone_writes(const RaplZone& zone, const RaplRequest& request) const;
    [[nodiscard]] std::vector<KnobWrite> constraint_writes(const RaplZone& zone,
                                                           const RaplConstraint& constraint,
                                                           const RaplRequest& request) const;
    void add_recorded(const RaplZone& zone, std::vector<KnobWrite>& writes, KnobRestore& result) const;

    std::filesystem::path root_;
    std::filesystem::path base_;  ///< sys/class/powercap
    KnobJournal& journal_;
    KnobWarn warn_;
    KnobRules rules_;
    std::mutex mutex_;
};

}  // namespace virt_power

#endif
