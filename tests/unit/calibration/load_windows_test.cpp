// SPDX-License-Identifier: LGPL-2.1-or-later
#include "load_windows.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "loaded_host.hpp"

namespace virt_power {
namespace {

constexpr uint64_t second = 1'000'000'000;

TEST(LoadWindows, samples_are_joined_until_they_span_the_time) {
    LoadedHost host;
    LoadWindows windows(10 * second);
    windows.add(host.sample);
    for (int n = 0; n < 35; n++) {
        host.pass(1, n < 10 ? 0.5 : 0.25, 0.5, 3);
        windows.add(host.sample);
    }
    EXPECT_EQ(windows.windows(), 3U);
    EXPECT_EQ(windows.dropped(), 0U);
    EXPECT_DOUBLE_EQ(windows.seconds(), 30);
    EXPECT_DOUBLE_EQ(windows.busy_highest_percent(), 50);
    EXPECT_DOUBLE_EQ(windows.busy_lowest_percent(), 25);
    EXPECT_NEAR(windows.busy_percent(), 100.0 / 3, 1e-9);
    ASSERT_EQ(windows.zones().size(), 2U);  // package and memory, not core
    const ZoneWindows& zone = windows.zones()[0];
    EXPECT_EQ(zone.name, "package-0");
    EXPECT_TRUE(zone.cycles);
    ASSERT_EQ(zone.windows.size(), 3U);
    EXPECT_NEAR(zone.windows[0].use, 12e9, 1);
    EXPECT_NEAR(*zone.windows[0].shared, 6e9, 1);
    EXPECT_NEAR(*zone.windows[0].squared, 108e9, 1);
    EXPECT_NEAR(zone.windows[0].power_uw, 20e6 + 12e6 * 0.8, 1);
    EXPECT_NEAR(zone.windows[1].use, 6e9, 1);
}

TEST(LoadWindows, a_longer_sample_is_a_window_of_its_own_and_the_same_one_again_none) {
    LoadedHost host;
    LoadWindows windows(10 * second);
    windows.add(host.sample);
    host.pass(600, 0.5);
    windows.add(host.sample);
    windows.add(host.sample);
    EXPECT_EQ(windows.windows(), 1U);
    EXPECT_DOUBLE_EQ(windows.seconds(), 600);
}

/// What one change between two samples leaves.
size_t dropped_after(const std::function<void(LoadedHost&)>& change, size_t* zone_windows = nullptr) {
    LoadedHost host;
    LoadWindows windows(second);
    windows.add(host.sample);
    host.pass(1, 0.5);
    change(host);
    windows.add(host.sample);
    if (zone_windows) *zone_windows = windows.zones().empty() ? 0 : windows.zones()[0].windows.size();
    EXPECT_EQ(windows.windows() + windows.dropped(), 1U);
    host.pass(1, 0.5);
    windows.add(host.sample);
    EXPECT_EQ(windows.windows() + windows.dropped(), 2U);
    return windows.dropped();
}

TEST(LoadWindows, what_cannot_be_compared_is_dropped) {
    EXPECT_EQ(dropped_after([](LoadedHost&) {}), 0U);
    EXPECT_EQ(dropped_after([](LoadedHost& host) { host.reading().epoch = 2; }), 1U);
    EXPECT_EQ(dropped_after([](LoadedHost& host) { host.reading().time_ns = 5; }), 1U);
    EXPECT_EQ(dropped_after([](LoadedHost& host) { host.reading().usage_source = UsageSource::Proc; }), 1U);
    EXPECT_EQ(dropped_after([](LoadedHost& host) { host.reading().cycles_gaps = 1; }), 1U);
    EXPECT_EQ(dropped_after([](LoadedHost& host) { host.package().host.time_ns = 0; }), 1U);
}

TEST(LoadWindows, a_zone_with_a_gap_has_no_figure_in_that_window_alone) {
    size_t left = 0;
    EXPECT_EQ(dropped_after([](LoadedHost& host) { host.reading().zones[0].gaps = 1; }, &left), 0U);
    LoadedHost host;
    LoadWindows windows(second);
    windows.add(host.sample);
    host.pass(1, 0.5);
    host.reading().zones[0].gaps = 1;
    windows.add(host.sample);
    ASSERT_EQ(windows.zones().size(), 1U);
    EXPECT_EQ(windows.zones()[0].name, "package-0/dram");
}

TEST(LoadWindows, a_window_spans_samples_without_figures) {
    LoadedHost host;
    LoadWindows windows(10 * second);
    windows.add(host.sample);
    Sample away;
    away.status = EnergyStatus::NoGroup;
    windows.add(away);
    host.pass(30, 0.5);
    windows.add(host.sample);
    EXPECT_EQ(windows.windows(), 1U);
    EXPECT_EQ(windows.dropped(), 0U);
}

TEST(LoadWindows, without_cycles_use_is_time) {
    LoadedHost host;
    host.package().host.cycles.reset();
    host.package().squared.reset();
    host.reading().cycles_gaps.reset();
    host.package().shared = 0;
    Sample before = host.sample;
    LoadWindows windows(second);
    windows.add(before);
    before.reading->time_ns += second;
    before.reading->packages[0].host.time_ns += 4 * second;
    *before.reading->packages[0].shared += second;
    windows.add(before);
    ASSERT_EQ(windows.zones().size(), 2U);
    EXPECT_FALSE(windows.zones()[0].cycles);
    EXPECT_DOUBLE_EQ(windows.zones()[0].windows[0].use, 4e9);
    EXPECT_DOUBLE_EQ(*windows.zones()[0].windows[0].shared, 1e9);
    EXPECT_FALSE(windows.zones()[0].windows[0].squared);
}

TEST(LoadWindows, a_cut_begins_anew) {
    LoadedHost host;
    LoadWindows windows(second);
    windows.add(host.sample);
    windows.cut();
    host.pass(5, 1);
    windows.add(host.sample);
    EXPECT_EQ(windows.windows() + windows.dropped(), 0U);
}

}  // namespace
}  // namespace virt_power
