// SPDX-License-Identifier: LGPL-2.1-or-later
#include "power_pmu.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "fake_root.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string pmu = "sys/bus/event_source/devices/power/";

/// Counts what the test says, by CPU and config.
class FakePerf : public PerfSystem {
public:
    [[nodiscard]] Result<FileDescriptor> open(const PerfEvent& event, uint32_t cpu) const override {
        opened.emplace_back(event.config, cpu);
        if (refuse) return Error{ErrorKind::Denied, EACCES, "not permitted"};
        FileDescriptor descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        counts[descriptor.get()] = 1000 * event.config + cpu;
        return descriptor;
    }
    [[nodiscard]] Result<uint64_t> read(const FileDescriptor& event) const override {
        return counts[event.get()];
    }

    mutable std::vector<std::pair<uint64_t, uint32_t>> opened;
    mutable std::map<int, uint64_t> counts;
    bool refuse = false;
};

void event(FakeRoot& root, const std::string& name, std::string_view config) {
    root.file(pmu + "events/" + name, std::string(config) + "\n");
    root.file(pmu + "events/" + name + ".scale", "2.3283064365386962890625e-10\n");
    root.file(pmu + "events/" + name + ".unit", "Joules\n");
}

struct Found {
    std::vector<std::string> warnings;  // before what fills it
    Sensors sensors;

    Found(const FakeRoot& root, const PerfSystem& perf)
        : sensors(discover_power_pmu(root.path(), perf,
                                     [this](std::string_view w) { warnings.emplace_back(w); })) {}

    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const auto& sensor : sensors) names.push_back(sensor->info().name + ":" + sensor->info().type);
        return names;
    }
};

TEST(PowerPmu, opens_each_event_on_a_cpu_of_each_package) {
    FakeRoot root;
    root.cpus("0-3", {0, 0, 1, 1});
    root.file(pmu + "type", "9\n").file(pmu + "cpumask", "0,2\n");
    event(root, "energy-pkg", "event=0x02");
    event(root, "energy-ram", "event=0x03");
    FakePerf perf;
    Found found(root, perf);
    EXPECT_THAT(found.names(), ElementsAre("perf/package-0:package", "perf/package-1:package",
                                           "perf/package-0/dram:dram", "perf/package-1/dram:dram"));
    EXPECT_EQ(found.sensors[1]->info().package_id, 1);
    EXPECT_THAT(perf.opened,
                ElementsAre(std::pair(2UL, 0U), std::pair(2UL, 2U), std::pair(3UL, 0U), std::pair(3UL, 2U)));
    EXPECT_THAT(found.warnings, IsEmpty());
}

TEST(PowerPmu, never_opens_psys) {
    FakeRoot root;
    root.cpus("0", {0});
    root.file(pmu + "type", "9\n").file(pmu + "cpumask", "0\n");
    event(root, "energy-psys", "event=0x05");
    FakePerf perf;
    EXPECT_THAT(Found(root, perf).sensors, IsEmpty());
    EXPECT_THAT(perf.opened, IsEmpty());
}

TEST(PowerPmu, keeps_the_dies_of_a_package_apart) {
    FakeRoot root;
    root.cpus("0-1", {0, 0});
    root.file("sys/devices/system/cpu/cpu0/topology/die_id", "0\n");
    root.file("sys/devices/system/cpu/cpu1/topology/die_id", "1\n");
    root.file(pmu + "type", "9\n").file(pmu + "cpumask", "0-1\n");
    event(root, "energy-pkg", "event=0x02");
    FakePerf perf;
    Found found(root, perf);
    EXPECT_THAT(found.names(), ElementsAre("perf/package-0-die-0:package", "perf/package-0-die-1:package"));
    EXPECT_EQ(found.sensors[1]->info().die_id, 1);
}

TEST(PowerPmu, scales_counts_to_microjoules) {
    EXPECT_EQ(scaled_uj(uint64_t{1} << 32, 2.3283064365386962890625e-10), 1'000'000U);
    EXPECT_EQ(scaled_uj(uint64_t{3} << 62, 2.3283064365386962890625e-10), 3'221'225'472'000'000U);
    EXPECT_EQ(scaled_uj(0, 2.3283064365386962890625e-10), 0U);
    EXPECT_GT(scaled_uj(UINT64_MAX, 1.0), 0U);
}

TEST(PowerPmu, one_bad_event_costs_that_event) {
    FakeRoot root;
    root.cpus("0", {0});
    root.file(pmu + "type", "9\n").file(pmu + "cpumask", "0\n");
    event(root, "energy-pkg", "event=0x02");
    event(root, "energy-ram", "event=frob");
    event(root, "energy-cores", "event=0x01");
    root.file(pmu + "events/energy-cores.unit", "Furlongs\n");
    event(root, "energy-gpu", "event=0x04");
    root.file(pmu + "events/energy-gpu.scale", "-1\n");
    FakePerf perf;
    Found found(root, perf);
    EXPECT_THAT(found.names(), ElementsAre("perf/package-0:package"));
    EXPECT_THAT(found.warnings,
                ElementsAre(HasSubstr("energy-ram"), HasSubstr("energy-cores"), HasSubstr("energy-gpu")));
}

TEST(PowerPmu, an_event_that_is_refused_is_a_warning) {
    FakeRoot root;
    root.cpus("0", {0});
    root.file(pmu + "type", "9\n").file(pmu + "cpumask", "0\n");
    event(root, "energy-pkg", "event=0x02");
    FakePerf perf;
    perf.refuse = true;
    Found found(root, perf);
    EXPECT_THAT(found.sensors, IsEmpty());
    EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("not permitted")));
}

TEST(PowerPmu, a_host_without_it_has_no_sensor) {
    FakeRoot root;
    FakePerf perf;
    Found found(root, perf);
    EXPECT_THAT(found.sensors, IsEmpty());
    EXPECT_THAT(found.warnings, IsEmpty());
}

TEST(PowerPmu, reads_configurations) {
    EXPECT_EQ(*parse_event_config("event=0x02\n"), 2U);
    EXPECT_EQ(*parse_event_config("event=0x02,umask=0x1"), 0x102U);
    for (const char* text : {"", "event=", "event=0x", "event=0x100", "config=1", "event=0x2;"})
        EXPECT_FALSE(parse_event_config(text)) << text;
}

}  // namespace
}  // namespace virt_power
