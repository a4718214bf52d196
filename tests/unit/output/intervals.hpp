// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Intervals for tests, and a pipe to catch what sinks write.
#ifndef VIRT_POWER_TESTS_OUTPUT_INTERVALS_HPP
#define VIRT_POWER_TESTS_OUTPUT_INTERVALS_HPP

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>

#include "virt-power/interval.hpp"

namespace virt_power::test {

inline Row row(RowKind kind, const std::string& name, uint64_t energy_uj, double energy_share,
               double cpu_share) {
    Row result;
    result.kind = kind;
    result.name = name;
    if (!name.empty()) {
        auto number = static_cast<uint64_t>(10 + name[0] - 'a');
        result.uuid = "00000000-0000-0000-0000-0000000000" + std::to_string(number);
        result.instance = number;
    }
    result.energy_uj = energy_uj;
    result.energy_share = energy_share;
    result.cpu_share = cpu_share;
    result.cpu_time_ns = static_cast<uint64_t>(cpu_share * 8e9);
    result.zones = {{0, energy_uj}};
    return result;
}

/// Two seconds, 20 J in one package.
inline Interval interval(const std::string& host = "kvm1") {
    Interval result;
    result.host = host;
    result.uri = "qemu+tls://" + host + "/system";
    result.end_wall_ns = 1'700'000'002'345'678'901;
    result.duration_ns = 2'000'000'000;
    result.basis = Basis::Cycles;
    result.zones = {{"package-0", "package", 0, "powercap", true, 20'000'000},
                    {"package-0/core", "core", 0, "powercap", false, 7'000'000},
                    {"package-1", "package", 1, "powercap", false, {}}};
    result.rows = {row(RowKind::Domain, "small", 4'000'000, 0.2, 0.125),
                   row(RowKind::Domain, "large", 11'000'000, 0.55, 0.5),
                   row(RowKind::Departed, "gone", 1'000'000, 0.05, 0.0),
                   row(RowKind::Host, "", 4'000'000, 0.2, 0.25)};
    return result;
}

/// What is written to fd() until take().
class Catcher {
public:
    Catcher() {
        if (pipe2(ends_.data(), O_CLOEXEC) != 0) std::abort();
    }
    Catcher(const Catcher&) = delete;
    Catcher& operator=(const Catcher&) = delete;
    ~Catcher() {
        close_reader();
        close(ends_[1]);
    }

    [[nodiscard]] int fd() const { return ends_[1]; }
    [[nodiscard]] int reader() const { return ends_[0]; }

    /// Of what is there, all; a test writes less than a pipe holds.
    std::string take() {
        std::string text;
        std::array<char, 4096> buffer{};
        fcntl(ends_[0], F_SETFL, O_NONBLOCK);
        ssize_t size = 0;
        while ((size = read(ends_[0], buffer.data(), buffer.size())) > 0)
            text.append(buffer.data(), static_cast<size_t>(size));
        return text;
    }

    void close_reader() {
        if (ends_[0] >= 0) close(ends_[0]);
        ends_[0] = -1;
    }

private:
    std::array<int, 2> ends_{};
};

}  // namespace virt_power::test

#endif
