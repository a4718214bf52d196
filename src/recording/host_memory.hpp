// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What a reader keeps of a host, so that a line need only say what changed.
#ifndef VIRT_POWER_RECORDING_HOST_MEMORY_HPP
#define VIRT_POWER_RECORDING_HOST_MEMORY_HPP

#include <cstdint>
#include <optional>
#include <vector>

#include "line.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

class HostMemory {
public:
    /// A line of kind Sample. Throws BadLine, and is of no use after that.
    void take(Line& line);

    [[nodiscard]] const Sample& sample() const { return sample_; }

private:
    void take_domains(Line& line);
    void take_running(const Line& line);
    void take_reading(const Line& line);
    void take_packages(const Line& line, HostReading& reading) const;
    void take_zones(const Line& line, HostReading& reading) const;
    static void take_departed_totals(const Line& line, HostReading& reading);
    void take_departed(const Line& line, HostReading& reading);
    void take_allocations(const Line& line);
    [[nodiscard]] const DomainUsage& numbered(uint32_t number) const;

    Sample sample_;
    HostReading reading_;  ///< while the sample has none
    bool knows_about_ = false;
    std::vector<ZoneFacts> zones_;
    std::vector<int64_t> packages_;
    Figures limits_uw_;  ///< none: no zone has one
    std::optional<Weighing> weighing_;
    Figures vcpus_, memory_kib_;        ///< of those that run; none: of none is it known
    std::vector<DomainUsage> domains_;  ///< by number, without use
    std::vector<uint32_t> running_, departed_;
};

}  // namespace virt_power

#endif
