// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What other monitors read: /proc, powercap. And the simulated machine's truth.
#ifndef VIRT_POWER_POWER_HOST_METER_RAW_INPUTS_HPP
#define VIRT_POWER_POWER_HOST_METER_RAW_INPUTS_HPP

#include <sys/types.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace virt_power {

/// Where a process's threads were when they were looked at: {tid: {cpu: times}}.
class Residence {
public:
    void look(pid_t pid);
    [[nodiscard]] nlohmann::json of(pid_t pid) const;

private:
    std::map<pid_t, std::map<long, std::map<std::string, uint64_t>>> seen_;
};

/// The threads of a process: [{tid, comm, ticks, cpu}], ticks being utime + stime.
nlohmann::json threads_of(pid_t pid);

/// {pid: utime + stime} of all processes, as Kepler adds them up.
nlohmann::json process_ticks();

/// The lines of /proc/stat that are about CPUs: {name: [ticks]}.
nlohmann::json cpu_ticks();

/// powercap zones: [{name, path, energy_uj, max_uj}], as in sysfs.
nlohmann::json powercap_zones();

/// physical_package_id of each CPU that is online: {cpu: package}.
nlohmann::json packages();

/// The truth of the simulated machine (module/README.md) at the instant of the construction; what it takes to
/// write it down is put off until text().
class TruthAccount {
public:
    TruthAccount();
    /// Empty where there is none.
    [[nodiscard]] std::string text();

private:
    std::ifstream file_;
};

/// Null for an empty one. Of threads, only those of these processes and those whose comm begins with vhost:
/// they work for a VM without being its own.
nlohmann::json truth(const std::string& text, const std::set<pid_t>& pids);
/// Its rows of a process alone, and of the threads of that.
std::string process_rows(const std::string& text, pid_t pid);

}  // namespace virt_power

#endif
