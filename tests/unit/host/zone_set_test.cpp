// SPDX-License-Identifier: LGPL-2.1-or-later
#include "zone_set.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "fake_memory.hpp"
#include "fake_root.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FakeSensor : public EnergySensor {
public:
    FakeSensor(std::string name, std::string type, int64_t package, int preference) {
        info_.name = std::move(name);
        info_.type = std::move(type);
        info_.source = preference == 2 ? "perf" : "powercap";
        info_.package_id = package;
        info_.preference = preference;
        info_.range_uj = 1'000'000'000'000;
        info_.max_power_uw = default_max_power_uw;
    }
    [[nodiscard]] const SensorInfo& info() const override { return info_; }
    [[nodiscard]] Result<uint64_t> read_uj() override {
        if (hang.valid()) hang.wait();
        if (throws) throw std::runtime_error("broken");
        if (fails) return Error{ErrorKind::Gone, ENODEV, "gone"};
        return raw_uj += step_uj;
    }

    SensorInfo info_;
    uint64_t raw_uj = 1000;
    uint64_t step_uj = 10;
    bool fails = false;
    bool throws = false;
    std::shared_future<void> hang;
};

class Zones : public testing::Test {
protected:
    std::shared_ptr<FakeSensor> add(const std::string& name, const std::string& type, int64_t package = 0,
                                    int preference = 0) {
        sensors_.push_back(std::make_shared<FakeSensor>(name, type, package, preference));
        return sensors_.back();
    }
    void make() {
        root_.cpus("0-1", {0, 1});
        ASSERT_TRUE(topology_.refresh());
        zones_ = std::make_unique<ZoneSet>(
            Sensors(sensors_.begin(), sensors_.end()), "",
            [this](std::string_view w) { warnings_.emplace_back(w); }, memory_);
    }
    bool read() {
        return zones_->read([this] { return now_ns_ += 1'000'000'000; });
    }
    std::vector<std::string> counted() {
        std::vector<std::string> names;
        for (const ZoneReading& zone : zones_->zones(topology_, now_ns_))
            if (zone.counted) names.push_back(zone.name);
        return names;
    }
    ZoneReading zone(size_t n) { return zones_->zones(topology_, now_ns_)[n]; }

    FakeRoot root_;
    CpuTopology topology_{root_.path()};
    std::vector<std::shared_ptr<FakeSensor>> sensors_;
    std::unique_ptr<ZoneSet> zones_;
    std::shared_ptr<FakeMemory> memory_;
    std::vector<std::string> warnings_;
    uint64_t now_ns_ = 0;
};

/// A daemon with its zones, and the one after it.
class ZonesAfterRestart : public Zones {
protected:
    static constexpr uint64_t range_uj = 100 * default_max_power_uw;
    static constexpr uint64_t wrap_ns = 100'000'000'000;

    ZonesAfterRestart() { memory_ = std::make_shared<FakeMemory>(); }

    /// The counter moved by 10 before the daemon ended.
    std::shared_ptr<FakeSensor> counted_before(uint64_t raw_uj = 1000) {
        auto sensor = add("package-0", "package");
        sensor->raw_uj = raw_uj;
        sensor->info_.range_uj = range_uj;
        make();
        read();
        read();
        return sensor;
    }
    /// So long after the last reading, read() comes a second later.
    void restart(uint64_t away_ns) {
        make();
        now_ns_ += away_ns;
    }
};

TEST_F(Zones, count_only_once_they_moved) {
    auto sensor = add("package-0", "package");
    sensor->step_uj = 0;
    make();
    read();
    read();
    EXPECT_THAT(counted(), IsEmpty());
    sensor->step_uj = 7;
    read();
    EXPECT_THAT(counted(), ElementsAre("package-0"));
    EXPECT_EQ(zone(0).energy_uj, 7U);
    EXPECT_EQ(zone(0).package, 0U);
}

TEST_F(Zones, packages_and_dram_count_and_what_is_inside_or_over_them_does_not) {
    add("package-0", "package");
    add("package-0/core", "core");
    add("package-0/uncore", "uncore");
    add("package-0/dram", "dram");
    add("psys", "psys");
    make();
    read();
    read();
    EXPECT_THAT(counted(), ElementsAre("package-0", "package-0/dram"));
}

TEST_F(Zones, of_mirrors_the_preferred_one_counts) {
    add("perf/package-0", "package", 0, 2);
    add("mmio/package-0", "package", 0, 1);
    add("package-0", "package", 0, 0);
    add("package-1", "package", 1, 1);
    make();
    read();
    read();
    EXPECT_THAT(counted(), ElementsAre("package-0", "package-1"));
}

TEST_F(Zones, another_way_to_the_same_counter_steps_in_when_one_fails) {
    auto powercap = add("package-0", "package", 0, 0);
    add("perf/package-0", "package", 0, 2);
    make();
    read();
    read();
    powercap->fails = true;
    read();
    EXPECT_THAT(counted(), ElementsAre("perf/package-0"));
}

TEST_F(Zones, dies_count_each_but_not_beside_their_package) {
    add("package-0-die-0", "package")->info_.die_id = 0;
    add("package-0-die-1", "package")->info_.die_id = 1;
    add("package-0-die-1 again", "package")->info_.die_id = 1;
    make();
    read();
    read();
    EXPECT_THAT(counted(), ElementsAre("package-0-die-0", "package-0-die-1"));
    add("package-0", "package");
    make();
    read();
    read();
    EXPECT_THAT(counted(), ElementsAre("package-0"));
}

TEST_F(Zones, one_that_fails_is_absent_warns_once_and_comes_back_with_a_gap) {
    auto sensor = add("package-0", "package");
    add("package-1", "package", 1);
    make();
    read();
    read();
    sensor->fails = true;
    read();
    read();
    EXPECT_EQ(zone(0).energy_uj, std::nullopt);
    EXPECT_THAT(counted(), ElementsAre("package-1"));
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("zone package-0: gone")));
    sensor->fails = false;
    read();
    EXPECT_EQ(zone(0).energy_uj, 10U);
    EXPECT_EQ(zone(0).gaps, 1U);
}

TEST_F(Zones, one_that_throws_costs_itself) {
    add("package-0", "package")->throws = true;
    add("package-1", "package", 1);
    make();
    read();
    read();
    EXPECT_THAT(counted(), ElementsAre("package-1"));
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("broken")));
}

TEST_F(Zones, one_that_hangs_is_given_up_and_the_others_go_on) {
    std::promise<void> release;
    add("package-0", "package")->hang = release.get_future().share();
    add("package-1", "package", 1);
    make();
    std::atomic<bool> mine = true;
    std::thread hung([&] { mine = zones_->read([] { return uint64_t{1}; }); });
    std::string name;
    while ((name = zones_->abandon()).empty()) std::this_thread::yield();
    EXPECT_EQ(name, "package-0");
    EXPECT_TRUE(read());
    EXPECT_TRUE(read());
    EXPECT_THAT(counted(), ElementsAre("package-1"));
    EXPECT_EQ(zone(0).energy_uj, std::nullopt);
    release.set_value();
    hung.join();
    EXPECT_FALSE(mine);
    // It has answered after all: it counts again, and says that energy was lost.
    sensors_[0]->hang = {};
    EXPECT_TRUE(read());
    EXPECT_TRUE(read());
    EXPECT_THAT(counted(), ElementsAre("package-0", "package-1"));
}

TEST_F(Zones, carry_the_prefix_of_their_source) {
    add("package-0", "package");
    make();
    zones_ = std::make_unique<ZoneSet>(Sensors(sensors_.begin(), sensors_.end()), "simulated-",
                                       [](std::string_view) {});
    EXPECT_EQ(zone(0).source, "simulated-powercap");
}

TEST_F(Zones, know_the_shortest_wrap) {
    add("package-0", "package")->info_.range_uj.reset();
    make();
    EXPECT_EQ(zones_->shortest_wrap_ns(), std::nullopt);
    add("package-1", "package", 1)->info_.range_uj = 4 * default_max_power_uw;
    make();
    EXPECT_EQ(zones_->shortest_wrap_ns(), 4'000'000'000U);
}

TEST_F(ZonesAfterRestart, go_on_from_what_was_kept_and_count_at_once) {
    auto sensor = counted_before();
    EXPECT_EQ(zone(0).energy_uj, 10U);
    sensor->raw_uj += 5000;  // meanwhile
    restart(20'000'000'000);
    read();
    EXPECT_EQ(zone(0).energy_uj, 10U + 5000U + 10U);
    EXPECT_EQ(zone(0).gaps, 0U);
    EXPECT_THAT(counted(), ElementsAre("package-0"));
    EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(ZonesAfterRestart, go_on_over_several) {
    counted_before();
    for (int n = 0; n < 3; n++) {
        restart(0);
        read();
    }
    EXPECT_EQ(zone(0).energy_uj, 40U);
    EXPECT_EQ(zone(0).gaps, 0U);
}

TEST_F(ZonesAfterRestart, infer_one_wrap) {
    auto sensor = counted_before(range_uj - 120);
    EXPECT_EQ(sensor->raw_uj, range_uj - 100);
    sensor->raw_uj = 3;
    restart(wrap_ns - 2'000'000'000);
    read();
    EXPECT_EQ(zone(0).energy_uj, 10U + 100U + 13U);
    EXPECT_EQ(zone(0).gaps, 0U);
    EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(ZonesAfterRestart, that_came_too_late_for_a_wrap_have_a_gap_and_the_log_says_so) {
    auto sensor = counted_before();
    sensor->raw_uj += 5000;
    restart(wrap_ns);
    read();
    EXPECT_EQ(zone(0).energy_uj, 10U);
    EXPECT_EQ(zone(0).gaps, 1U);
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("zone package-0: its counter went back, was away")));
    read();
    EXPECT_EQ(zone(0).energy_uj, 20U);
    EXPECT_EQ(zone(0).gaps, 1U);
    EXPECT_EQ(warnings_.size(), 1U);
}

TEST_F(ZonesAfterRestart, of_a_counter_that_ends_with_the_daemon_have_a_gap) {
    auto sensor = counted_before();
    sensor->info_.outlives_us = false;
    sensor->raw_uj = 2000;  // more than before: nothing but what it says of itself tells that it began anew
    restart(0);
    read();
    EXPECT_EQ(zone(0).energy_uj, 10U);
    EXPECT_EQ(zone(0).gaps, 1U);
    EXPECT_THAT(counted(), ElementsAre("package-0"));
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("zone package-0")));
    read();
    EXPECT_EQ(zone(0).energy_uj, 20U);
    EXPECT_EQ(zone(0).gaps, 1U);
}

TEST_F(ZonesAfterRestart, that_could_not_be_read_at_the_end_have_a_gap) {
    auto sensor = counted_before();
    sensor->fails = true;
    read();
    sensor->fails = false;
    warnings_.clear();
    restart(0);
    read();
    EXPECT_EQ(zone(0).energy_uj, 10U);
    EXPECT_EQ(zone(0).gaps, 1U);
}

TEST_F(ZonesAfterRestart, that_are_of_another_source_begin_anew) {
    auto sensor = counted_before();
    sensor->info_.source = "perf";
    restart(0);
    read();
    EXPECT_EQ(zone(0).energy_uj, 0U);
    EXPECT_EQ(zone(0).gaps, 0U);
    EXPECT_THAT(counted(), IsEmpty());
}

}  // namespace
}  // namespace virt_power
