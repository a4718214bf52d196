// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A host with cpufreq: as acpi-cpufreq shows it, or as intel_pstate does.
#ifndef VIRT_POWER_TESTS_CPUFREQ_HOST_HPP
#define VIRT_POWER_TESTS_CPUFREQ_HOST_HPP

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cpufreq.hpp"
#include "knob_kernel.hpp"

namespace virt_power {

class CpufreqHost : public testing::Test {
protected:
    using Cpus = std::vector<uint32_t>;

    static std::string blank_separated(const Cpus& cpus) {
        std::string text;
        for (uint32_t cpu : cpus) text += (text.empty() ? "" : " ") + std::to_string(cpu);
        return text;
    }

    /// A policy as acpi-cpufreq has it, under ondemand, 800 to 2400 MHz.
    void policy(uint32_t number, const Cpus& related, const Cpus& affected) {
        std::string directory = "cpufreq/policy" + std::to_string(number);
        auto put = [&](const std::string& file, const std::string& value) {
            kernel_.put((directory + "/").append(file), value);
        };
        put("related_cpus", blank_separated(related));
        put("affected_cpus", blank_separated(affected));
        put("scaling_driver", "acpi-cpufreq");
        put("scaling_governor", "ondemand");
        put("scaling_available_governors", "userspace ondemand performance powersave ");
        put("scaling_available_frequencies", "2400000 1600000 800000 ");
        put("scaling_cur_freq", "1600000");
        put("scaling_min_freq", "800000");
        put("scaling_max_freq", "2400000");
        put("cpuinfo_min_freq", "800000");
        put("cpuinfo_max_freq", "2400000");
        put("scaling_setspeed", "<unsupported>");
        for (uint32_t cpu : related) root_.link(at(cpu, ""), base + directory);
    }
    void policy(uint32_t number, const Cpus& cpus) { policy(number, cpus, cpus); }

    /// CPUs 0 to 3, each with a policy of its own.
    void four_cpus() {
        root_.cpus("0-3", {0, 0, 1, 1});
        for (uint32_t cpu = 0; cpu < 4; cpu++) policy(cpu, {cpu});
    }

    void intel_pstate() {
        root_.cpus("0-1", {0, 0});
        for (uint32_t cpu : {0U, 1U}) {
            policy(cpu, {cpu});
            put(cpu, "scaling_driver", "intel_pstate");
            put(cpu, "scaling_available_governors", "performance powersave");
            put(cpu, "scaling_governor", "powersave");
            put(cpu, "energy_performance_preference", "balance_performance");
            put(cpu, "energy_performance_available_preferences",
                "default performance balance_performance power ");
        }
        kernel_.put("intel_pstate/max_perf_pct", "100");
        kernel_.put("intel_pstate/min_perf_pct", "33");
        kernel_.put("intel_pstate/no_turbo", "0");
    }

    void put(uint32_t cpu, const std::string& file, const std::string& value) {
        kernel_.put(name(cpu, file), value);
    }
    [[nodiscard]] std::string get(uint32_t cpu, const std::string& file) const {
        return kernel_.read(name(cpu, file));
    }
    /// As KnobKernel calls it.
    static std::string name(uint32_t cpu, const std::string& file) {
        return ("cpu" + std::to_string(cpu)).append("/cpufreq/").append(file);
    }

    /// The kernel forgets the speed that was set when the governor changes.
    void play_userspace(uint32_t cpu) {
        kernel_.rounds(name(cpu, "scaling_governor"), [this, cpu](const std::string& governor) {
            put(cpu, "scaling_setspeed", governor == "userspace" ? "1600000" : "<unsupported>");
            return governor;
        });
    }

    /// No minimum above the maximum, not even between two writes.
    void watch_limits() {
        kernel_.after_write([this](const std::string& file) {
            if (file.starts_with("intel_pstate/")) {
                EXPECT_LE(std::stoul(kernel_.read("intel_pstate/min_perf_pct")),
                          std::stoul(kernel_.read("intel_pstate/max_perf_pct")));
                return;
            }
            std::string directory = file.substr(0, file.rfind('/') + 1);
            EXPECT_LE(std::stoul(kernel_.read(directory + "scaling_min_freq")),
                      std::stoul(kernel_.read(directory + "scaling_max_freq")))
                << "after " << file;
        });
    }

    void offline(uint32_t cpu, const std::string& rest) {
        root_.file(base + "online", rest + "\n");
        kernel_.put("cpu" + std::to_string(cpu) + "/online", "0");
    }

    /// What a daemon that is started again has.
    void restart() { journal_.emplace(state(), boot_, warn_); }
    [[nodiscard]] Cpufreq cpufreq() { return {root_.path(), *journal_, kernel_.writer(), kernel_.sleeper()}; }
    [[nodiscard]] std::filesystem::path state() const { return root_.path() / "state"; }

    const std::string base = "sys/devices/system/cpu/";
    const std::string boot_ = "5e9b1b2c-0c4e-4f0e-9a53-000000000001";
    FakeRoot root_;
    KnobKernel kernel_{root_, base};
    std::vector<std::string> warnings_;
    KnobWarn warn_ = [this](std::string_view warning) { warnings_.emplace_back(warning); };
    std::optional<KnobJournal> journal_{std::in_place, state(), boot_, warn_};

private:
    [[nodiscard]] std::string at(uint32_t cpu, const std::string& file) const {
        std::string path = base + "cpu" + std::to_string(cpu) + "/cpufreq";
        return file.empty() ? path : path.append("/").append(file);
    }
};

}  // namespace virt_power

#endif
