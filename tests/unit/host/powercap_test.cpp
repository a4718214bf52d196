// SPDX-License-Identifier: LGPL-2.1-or-later
#include "powercap.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_root.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::string base = "sys/class/powercap/";

void zone(FakeRoot& root, const std::string& directory, std::string_view name,
          std::string_view energy = "1000\n") {
    root.file(base + directory + "/name", std::string(name) + "\n");
    root.file(base + directory + "/energy_uj", energy);
    root.file(base + directory + "/max_energy_range_uj", "262143328850\n");
}

struct Found {
    std::vector<std::string> warnings;  // before what fills it
    Sensors sensors;

    explicit Found(const FakeRoot& root)
        : sensors(discover_powercap(root.path(), [this](std::string_view w) { warnings.emplace_back(w); })) {}

    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const auto& sensor : sensors) names.push_back(sensor->info().name + ":" + sensor->info().type);
        return names;
    }
};

/// As a server with two packages, DRAM and the platform's counter shows it.
TEST(Powercap, finds_intel_packages_with_their_subzones) {
    FakeRoot root;
    root.file(base + "intel-rapl/enabled", "1\n");
    zone(root, "intel-rapl:0", "package-0");
    zone(root, "intel-rapl:0:0", "core");
    zone(root, "intel-rapl:0:1", "dram");
    zone(root, "intel-rapl:1", "package-1");
    zone(root, "intel-rapl:1:0", "dram");
    zone(root, "intel-rapl:2", "psys");
    Found found(root);
    EXPECT_THAT(found.names(), ElementsAre("package-0:package", "package-0/core:core", "package-0/dram:dram",
                                           "package-1:package", "package-1/dram:dram", "psys:psys"));
    EXPECT_EQ(found.sensors[2]->info().package_id, 0);
    EXPECT_EQ(found.sensors[4]->info().package_id, 1);
    EXPECT_EQ(found.sensors[5]->info().package_id, std::nullopt);
    EXPECT_EQ(found.sensors[0]->info().range_uj, 262143328850U);
    EXPECT_EQ(*found.sensors[0]->read_uj(), 1000U);
    EXPECT_THAT(found.warnings, IsEmpty());
}

TEST(Powercap, knows_dies) {
    FakeRoot root;
    zone(root, "intel-rapl:0", "package-0-die-0");
    zone(root, "intel-rapl:1", "package-0-die-1");
    Found found(root);
    EXPECT_THAT(found.names(), ElementsAre("package-0-die-0:package", "package-0-die-1:package"));
    EXPECT_EQ(found.sensors[1]->info().package_id, 0);
    EXPECT_EQ(found.sensors[1]->info().die_id, 1);
}

TEST(Powercap, a_zone_that_is_linked_twice_comes_once) {
    FakeRoot root;
    zone(root, "intel-rapl:0", "package-0");
    root.link(base + "intel-rapl:9", base + "intel-rapl:0");
    EXPECT_THAT(Found(root).names(), ElementsAre("package-0:package"));
}

TEST(Powercap, mmio_has_a_name_of_its_own_and_stands_behind) {
    FakeRoot root;
    zone(root, "intel-rapl-mmio:0", "package-0");
    zone(root, "intel-rapl:0", "package-0");
    Found found(root);
    EXPECT_THAT(found.names(), ElementsAre("intel-rapl-mmio/package-0:package", "package-0:package"));
    EXPECT_GT(found.sensors[0]->info().preference, found.sensors[1]->info().preference);
}

TEST(Powercap, one_bad_zone_costs_that_zone) {
    FakeRoot root;
    zone(root, "intel-rapl:0", "package-0");
    root.file(base + "intel-rapl:1/energy_uj", "5\n");  // it has no name
    zone(root, "intel-rapl:2", "package-2");
    Found found(root);
    EXPECT_THAT(found.names(), ElementsAre("package-0:package", "package-2:package"));
    EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("intel-rapl:1/name")));
}

TEST(Powercap, names_that_repeat_are_kept_apart) {
    FakeRoot root;
    zone(root, "intel-rapl:0", "package-0");
    zone(root, "intel-rapl:1", "package-0");
    EXPECT_THAT(Found(root).names(), ElementsAre("package-0:package", "package-0 (intel-rapl:1):package"));
}

TEST(Powercap, without_a_readable_range_none_is_made_up) {
    FakeRoot root;
    zone(root, "intel-rapl:0", "package-0");
    root.remove(base + "intel-rapl:0/max_energy_range_uj");
    zone(root, "intel-rapl:1", "package-1");
    root.file(base + "intel-rapl:1/max_energy_range_uj", "-1\n");
    Found found(root);
    ASSERT_THAT(found.sensors, SizeIs(2));
    EXPECT_EQ(found.sensors[0]->info().range_uj, std::nullopt);
    EXPECT_EQ(found.sensors[1]->info().range_uj, std::nullopt);
}

TEST(Powercap, takes_the_limit_of_power_from_the_constraints) {
    FakeRoot root;
    zone(root, "intel-rapl:0", "package-0");
    root.file(base + "intel-rapl:0/constraint_0_max_power_uw", "95000000\n");
    root.file(base + "intel-rapl:0/constraint_1_power_limit_uw", "4095875000\n");  // "no limit" of a firmware
    zone(root, "intel-rapl:1", "package-1");
    Found found(root);
    EXPECT_EQ(found.sensors[0]->info().max_power_uw, 380'000'000U);
    EXPECT_EQ(found.sensors[1]->info().max_power_uw, default_max_power_uw);
}

TEST(Powercap, a_counter_that_is_no_number_or_vanishes_is_an_error) {
    FakeRoot root;
    zone(root, "intel-rapl:0", "package-0", "-5\n");
    zone(root, "intel-rapl:1", "package-1");
    Found found(root);
    root.remove(base + "intel-rapl:1");
    EXPECT_EQ(found.sensors[0]->read_uj().error().kind, ErrorKind::Malformed);
    EXPECT_EQ(found.sensors[1]->read_uj().error().kind, ErrorKind::Gone);
}

TEST(Powercap, a_host_without_it_has_no_zone) {
    FakeRoot root;
    Found found(root);
    EXPECT_THAT(found.sensors, IsEmpty());
    EXPECT_THAT(found.warnings, IsEmpty());
}

TEST(Powercap, reads_names_of_packages) {
    EXPECT_EQ(parse_package_name("package-12")->package_id, 12);
    EXPECT_EQ(parse_package_name("package-0-die-3")->die_id, 3);
    for (const char* name : {"package", "package-", "package-x", "package-0-die-", "psys", "core", ""})
        EXPECT_FALSE(parse_package_name(name)) << name;
}

}  // namespace
}  // namespace virt_power
