// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Lines of a recording from samples. Names and what else seldom changes are written
/// when they do; counters always, and whole.
#ifndef VIRT_POWER_RECORDING_ENCODER_HPP
#define VIRT_POWER_RECORDING_ENCODER_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "line.hpp"
#include "virt-power/recording.hpp"

namespace virt_power {

/// Gives each life of a domain a number for as long as it is seen.
class DomainNumbers {
public:
    /// Numbers of the domains, in their order. Those that had none before are in `fresh`.
    void assign(const std::vector<DomainSample>& running, const std::vector<DomainUsage>& departed,
                std::vector<NumberedDomain>& fresh);

    [[nodiscard]] const std::vector<uint32_t>& running() const { return running_; }
    [[nodiscard]] const std::vector<uint32_t>& departed() const { return departed_; }

private:
    struct Entry {
        NumberedDomain domain;
        uint64_t seen = 0;  ///< the last time that it was
    };

    uint32_t number_of(const DomainUsage& domain, std::vector<NumberedDomain>& fresh);
    [[nodiscard]] static bool same(const Entry& entry, const DomainUsage& domain);
    static std::string key_of(const DomainUsage& domain);
    void free_unseen();

    std::vector<Entry> entries_;  ///< by number
    std::unordered_map<std::string, uint32_t> by_key_;
    std::vector<uint32_t> free_;
    std::vector<uint32_t> running_, departed_;
    uint64_t time_ = 0;
};

class HostEncoder {
public:
    /// One line, with its end.
    void append(std::string& out, size_t host, const Sample& sample);

private:
    void append_facts(std::string& out, const Sample& sample);
    void append_domains(std::string& out, const Sample& sample);
    void append_allocations(std::string& out, const Sample& sample);

    bool first_ = true;
    About about_;
    std::vector<ZoneFacts> zones_;
    std::vector<int64_t> packages_;
    Figures limits_uw_;  ///< none: no zone has one
    std::optional<Weighing> weighing_;
    Figures vcpus_, memory_kib_;  ///< of the domains that run; none: of none is it known
    DomainNumbers numbers_;
};

std::string header_line(const RecordingHeader& header);
std::string error_line(size_t host, const Error& error);
std::string started_line();
std::string tick_line(uint64_t number);
std::string end_line(uint64_t ticks);

}  // namespace virt_power

#endif
