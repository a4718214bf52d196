// SPDX-License-Identifier: LGPL-2.1-or-later
#include "domain_registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace virt_power {
namespace {

constexpr uint64_t s = 1'000'000'000;

Uuid uuid(unsigned char n) { return {n}; }

OwnerUsage used(uint64_t time_ns, std::optional<uint64_t> cycles = {}) {
    return {{{time_ns, cycles}}, UsageSource::Bpf};
}

TEST(DomainRegistry, writes_uuids_as_libvirt_does) {
    Uuid all = {0x5f, 0x0c, 0x0e, 0x0a, 0, 1, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 0xff};
    EXPECT_EQ(format_uuid(all), "5f0c0e0a-0001-4000-8000-0000000000ff");
}

TEST(DomainRegistry, totals_of_the_departed_stay_for_ever) {
    DomainRegistry registry({10 * s, 1});
    for (unsigned char n = 1; n <= 3; n++) {
        registry.add(uuid(n), {"d", {n, 1}, n});
        registry.depart(uuid(n), used(100, 10), UsageSource::Bpf, n);
    }
    EXPECT_EQ(registry.forget(3), (std::vector<OwnerId>{1, 2})) << "too many";
    EXPECT_EQ(registry.departed().size(), 1U);
    EXPECT_EQ(registry.forget(100 * s), std::vector<OwnerId>{3}) << "too old";
    EXPECT_TRUE(registry.departed().empty());
    registry.add_totals({{1000, 100}});
    std::vector<Usage> totals = registry.departed_totals(1, Usage{0, 0, std::nullopt});
    EXPECT_EQ(totals[0], (Usage{1300, 130}));
}

TEST(DomainRegistry, the_departed_keep_name_and_instance_for_their_time) {
    DomainRegistry registry({10 * s, 5});
    registry.add(uuid(1), {"web", {7, 8}, 1});
    registry.depart(uuid(1), used(100), UsageSource::Proc, 1 * s);
    EXPECT_TRUE(registry.forget(11 * s).empty());
    ASSERT_EQ(registry.departed().size(), 1U);
    const DomainUsage& usage = registry.departed()[0].usage;
    EXPECT_EQ(usage.name, "web");
    EXPECT_EQ(usage.instance, (Process{7, 8}.instance()));
    EXPECT_EQ(usage.usage_source, UsageSource::Bpf);
    EXPECT_TRUE(registry.running().empty());
    EXPECT_EQ(registry.forget(12 * s).size(), 1U);
}

TEST(DomainRegistry, an_unknown_domain_departs_without_trace) {
    DomainRegistry registry({10 * s, 5});
    registry.depart(uuid(1), used(100), UsageSource::Bpf, 1);
    EXPECT_EQ(registry.departed_totals(1, Usage{})[0], (Usage{0, std::nullopt}));
}

}  // namespace
}  // namespace virt_power
