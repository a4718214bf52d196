// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A host of one package whose power is known, under load that a test chooses.
#ifndef VIRT_POWER_TESTS_CALIBRATION_LOADED_HOST_HPP
#define VIRT_POWER_TESTS_CALIBRATION_LOADED_HOST_HPP

#include <cmath>
#include <cstdint>

#include "virt-power/sample.hpp"

namespace virt_power {

/// 20 W without load; a cycle at 2 GHz alone draws 1 nJ, of which `square` goes with the square of its
/// frequency; on a shared core it weighs `shared`. Memory: 3 W, and 1 W more at full load and 2 GHz. Eight
/// CPUs.
struct LoadedHost {
    double shared = 0.6, square = 0;
    double static_w = 20;
    Sample sample;

    LoadedHost() {
        sample.host = "kvm1";
        sample.uri = "qemu+ssh://kvm1/system";
        sample.status = EnergyStatus::Ok;
        sample.host_cpus = 8;
        sample.reading.emplace();
        HostReading& reading = *sample.reading;
        reading.epoch = 1;
        reading.time_ns = 100'000'000'000;
        reading.usage_source = UsageSource::Bpf;
        reading.cycles_gaps = 0;
        PackageReading package;
        package.host = {1'000'000'000, 1'000'000'000};
        package.vms = {0, 0};
        package.shared = 0;
        package.squared = 0;
        reading.packages = {package};
        reading.zones = {{"package-0", "package", 0, "powercap", true, 7'000'000, 0},
                         {"package-0/dram", "dram", 0, "powercap", true, 9'000'000, 0},
                         {"package-0/core", "core", 0, "powercap", false, 5, 0}};
    }

    HostReading& reading() { return *sample.reading; }
    PackageReading& package() { return reading().packages[0]; }

    /// `busy` of all CPU time, of it `part` on shared cores, at a frequency; `noise_w` comes on top.
    void pass(double seconds, double busy, double part = 0, double ghz = 2, double noise_w = 0) {
        const double cpu_s = seconds * 8 * busy, cycles = cpu_s * ghz * 1e9;
        reading().time_ns += count(seconds * 1e9);
        package().host.time_ns += count(cpu_s * 1e9);
        *package().host.cycles += count(cycles);
        *package().shared += count(cycles * part);
        *package().squared += count(cycles * ghz * ghz);
        const double joules =
            cycles * 1e-9 * (1 - part + shared * part) * (1 - square + square * ghz * ghz / 4);
        *reading().zones[0].energy_uj += count(1e6 * (joules + (static_w + noise_w) * seconds));
        *reading().zones[1].energy_uj += count(1e6 * (3 * seconds + cycles / 16e9));
    }

private:
    static uint64_t count(double value) { return static_cast<uint64_t>(std::llround(value)); }
};

}  // namespace virt_power

#endif
