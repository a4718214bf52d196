// SPDX-License-Identifier: LGPL-2.1-or-later
// The numbers of the worked example in docs/model.md.
#include <gtest/gtest.h>

#include "samples.hpp"

namespace virt_power::test {
namespace {

Sample before() {
    return SampleBuilder(100 * second)
        .package(50 * second, 40 * second)
        .zone("package-0", 1'000'000'000)
        .zone(zone("package-0/dram", 200'000'000, "dram"))
        .running(domain("alpha", 1, 20 * second))
        .running(domain("beta", 2, 10 * second))
        .count(3);
}

Sample after() {
    return SampleBuilder(103 * second)
        .package(57 * second, 46 * second)
        .zone("package-0", 1'090'000'000)
        .zone(zone("package-0/dram", 209'000'001, "dram"))
        .running(domain("alpha", 1, 24 * second))
        .running(domain("beta", 2, 11 * second + second / 2))
        .count(3);
}

struct Expected {
    RowKind kind;
    std::string name;
    uint64_t package_uj, dram_uj;
};

void expect_rows(const AttributionOptions& options, const std::vector<Expected>& expected) {
    Attributor attributor(options);
    ASSERT_FALSE(attributor.add(before()).interval);
    std::optional<Interval> interval = attributor.add(after()).interval;
    ASSERT_TRUE(interval);
    ASSERT_EQ(interval->rows.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
        const Row& row = interval->rows[i];
        EXPECT_EQ(row.kind, expected[i].kind);
        EXPECT_EQ(row.name, expected[i].name);
        ASSERT_EQ(row.zones.size(), 2U);
        EXPECT_EQ(row.zones[0].energy_uj, expected[i].package_uj) << row.name;
        EXPECT_EQ(row.zones[1].energy_uj, expected[i].dram_uj) << row.name;
        EXPECT_EQ(row.energy_uj, expected[i].package_uj + expected[i].dram_uj) << row.name;
    }
}

AttributionOptions options(Model model, StaticPolicy policy, uint64_t static_uw) {
    AttributionOptions result{model, policy, {}};
    if (static_uw != 0) result.static_uw[""] = static_uw;
    return result;
}

TEST(WorkedExample, HostShareWithIdleIncluded) {
    expect_rows(options(Model::HostShare, StaticPolicy::Separate, 0),
                {{RowKind::Domain, "alpha", 51'428'571, 5'142'857},
                 {RowKind::Domain, "beta", 19'285'714, 1'928'572},
                 {RowKind::Other, "", 6'428'572, 642'857},
                 {RowKind::Host, "", 12'857'143, 1'285'715}});
}

TEST(WorkedExample, HostShareWithStaticPowerSeparate) {
    expect_rows(options(Model::HostShare, StaticPolicy::Separate, 12'000'000),
                {{RowKind::Domain, "alpha", 30'857'142, 5'142'857},
                 {RowKind::Domain, "beta", 11'571'429, 1'928'572},
                 {RowKind::Other, "", 3'857'143, 642'857},
                 {RowKind::Host, "", 7'714'286, 1'285'715},
                 {RowKind::Static, "", 36'000'000, 0}});
}

TEST(WorkedExample, HostShareWithStaticPowerEven) {
    expect_rows(options(Model::HostShare, StaticPolicy::Even, 12'000'000),
                {{RowKind::Domain, "alpha", 42'857'142, 5'142'857},
                 {RowKind::Domain, "beta", 23'571'429, 1'928'572},
                 {RowKind::Other, "", 15'857'143, 642'857},
                 {RowKind::Host, "", 7'714'286, 1'285'715}});
}

TEST(WorkedExample, HostShareWithStaticPowerProportional) {
    expect_rows(options(Model::HostShare, StaticPolicy::Proportional, 12'000'000),
                {{RowKind::Domain, "alpha", 54'857'142, 5'142'857},
                 {RowKind::Domain, "beta", 20'571'429, 1'928'572},
                 {RowKind::Other, "", 6'857'143, 642'857},
                 {RowKind::Host, "", 7'714'286, 1'285'715}});
}

TEST(WorkedExample, VmShareWithStaticPowerSeparate) {
    expect_rows(options(Model::VmShare, StaticPolicy::Separate, 12'000'000),
                {{RowKind::Domain, "alpha", 36'000'000, 6'000'000},
                 {RowKind::Domain, "beta", 13'500'000, 2'250'000},
                 {RowKind::Other, "", 4'500'000, 750'001},
                 {RowKind::Host, "", 0, 0},
                 {RowKind::Static, "", 36'000'000, 0}});
}

TEST(WorkedExample, SharesAndUse) {
    Attributor attributor(options(Model::HostShare, StaticPolicy::Separate, 0));
    (void)attributor.add(before());
    std::optional<Interval> interval = attributor.add(after()).interval;
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->basis, Basis::Time);
    EXPECT_EQ(interval->duration_ns, 3 * second);
    EXPECT_TRUE(interval->idle_included);
    const Row& alpha = interval->rows[0];
    EXPECT_EQ(alpha.cpu_time_ns, 4 * second);
    EXPECT_DOUBLE_EQ(*alpha.cpu_share, 4.0 / 12.0);
    EXPECT_DOUBLE_EQ(*alpha.energy_share, 56'571'428.0 / 99'000'001.0);
    EXPECT_FALSE(alpha.cycles);
    EXPECT_EQ(cpu_time(*interval, RowKind::Other), second / 2);
    EXPECT_EQ(cpu_time(*interval, RowKind::Host), second);
}

/// The second example: weighed use, helpers, static power by allocation.
Sample weighed(uint64_t time_ns, const Usage& host, const Usage& vms, const Usage& alpha, const Usage& beta,
               const Usage& helpers, uint64_t package_uj, uint64_t dram_uj) {
    DomainUsage first = domain("alpha", 1, {alpha});
    first.helpers = {helpers};
    SampleBuilder builder(time_ns);
    builder.package(host, vms).zone("package-0", package_uj).zone(zone("package-0/dram", dram_uj, "dram"));
    builder.running(std::move(first)).running(domain("beta", 2, {beta})).count(2);
    builder.sample.domains[0].vcpus = 2;
    builder.sample.domains[0].memory_kib = 4 << 20;
    builder.sample.domains[1].vcpus = 6;
    builder.sample.domains[1].memory_kib = 2 << 20;
    builder.sample.reading->cycles_gaps = 0;
    builder.sample.reading->weighing = Weighing{600, 1000, 0, true};
    return builder;
}

Interval weighed_interval(const AttributionOptions& given) {
    Attributor attributor(given);
    (void)attributor.add(weighed(100 * second, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, {}, 0}, 0, 0));
    return *attributor
                .add(weighed(103 * second, {6 * second, 12'000'000'000, 10'400'000'000},
                             {5 * second, 10'000'000'000, 8'400'000'000},
                             {3 * second, 6'000'000'000, 4'400'000'000},
                             {2 * second, 4'000'000'000, 4'000'000'000}, {second / 2, {}, 1'100'000'000},
                             52'000'000, 5'600'000))
                .interval;
}

TEST(WorkedExample, WeighedUseAndHelpers) {
    Interval interval = weighed_interval(options(Model::HostShare, StaticPolicy::Separate, 0));
    EXPECT_TRUE(interval.weighed);
    EXPECT_EQ(interval.basis, Basis::Cycles);
    EXPECT_EQ(interval.rows[0].zones[0].energy_uj, 22'000'000U);
    EXPECT_EQ(interval.rows[1].zones[0].energy_uj, 20'000'000U);
    EXPECT_EQ(interval.rows[2].zones[0].energy_uj, 10'000'000U);
    EXPECT_EQ(interval.rows[0].helper_time_ns, second / 2);
    EXPECT_EQ(interval.rows[0].helper_energy_uj, 5'500'000U + 592'307U);
    EXPECT_FALSE(interval.rows[1].helper_energy_uj);
}

TEST(WorkedExample, StaticPowerByAllocation) {
    AttributionOptions given = options(Model::HostShare, StaticPolicy::Allocation, 8'000'000);
    given.static_uw["package-0/dram"] = 1'000'000;
    Interval interval = weighed_interval(given);
    const std::vector<Expected> expected = {{RowKind::Domain, "alpha", 17'846'153, 3'100'000},
                                            {RowKind::Domain, "beta", 28'769'231, 2'000'000},
                                            {RowKind::Host, "", 5'384'616, 500'000}};
    ASSERT_EQ(interval.rows.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(interval.rows[i].kind, expected[i].kind);
        EXPECT_EQ(interval.rows[i].zones[0].energy_uj, expected[i].package_uj) << expected[i].name;
        EXPECT_EQ(interval.rows[i].zones[1].energy_uj, expected[i].dram_uj) << expected[i].name;
    }
    EXPECT_EQ(interval.rows[0].helper_energy_uj, 2'961'538U + 275'000U);
}

}  // namespace
}  // namespace virt_power::test
