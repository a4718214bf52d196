// SPDX-License-Identifier: LGPL-2.1-or-later
// Whatever a host does, the rows add up and nothing is negative.
#include <gtest/gtest.h>

#include <random>

#include "samples.hpp"

namespace virt_power::test {
namespace {

/// A host that lives at random: domains start, end and hide, zones come and
/// go, counters jump.
class RandomHost {
public:
    explicit RandomHost(uint32_t seed) : random_(seed), packages_(1 + below(3)) {
        host_.resize(packages_);
        vms_.resize(packages_);
        for (uint64_t z = 0; z < 1 + below(4); ++z) {
            std::optional<uint32_t> package;
            if (below(4) != 0) package = static_cast<uint32_t>(below(packages_));
            zones_.push_back(zone("zone-" + std::to_string(z), 0, below(2) ? "package" : "dram", package));
        }
    }

    Sample next() {
        now_ += 1 + below(5 * second);
        if (below(40) == 0) restart();
        if (below(3) == 0) start();
        if (!domains_.empty() && below(5) == 0) end(below(domains_.size()));
        SampleBuilder builder(now_, epoch_);
        for (DomainUsage& usage : domains_) use(usage);
        for (size_t p = 0; p < packages_; ++p) {
            grow(host_[p], below(scale()));
            builder.package(host_[p], vms_[p]);
        }
        for (ZoneReading& zone : zones_) builder.zone(changed(zone));
        for (const DomainUsage& usage : domains_)
            if (below(6) != 0) builder.running(shown(usage));
        for (DomainSample& sample : builder.sample.domains) {
            if (below(60) != 0) sample.vcpus = static_cast<uint32_t>(1 + below(8));
            if (below(60) != 0) sample.memory_kib = below(1 << 24);
        }
        for (const DomainUsage& usage : departed_)
            if (below(6) != 0) builder.departed(shown(usage));
        if (below(3) != 0) builder.count(static_cast<uint32_t>(domains_.size()));
        builder.sample.reading->cycles_gaps = below(10) == 0 ? 1 : 0;
        if (below(12) == 0) builder.sample.reading.reset();
        return builder.sample;
    }

private:
    uint64_t below(uint64_t limit) { return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random_); }
    /// Mostly plausible, at times absurd.
    uint64_t scale() { return below(30) == 0 ? (1ULL << 61) : 4 * second; }

    static void grow(Usage& usage, uint64_t amount) {
        usage.time_ns += amount;
        usage.cycles = usage.cycles.value_or(0) + amount / 3;
        usage.weight = usage.weight.value_or(0) + amount / 5;
    }

    /// At times without what need not be there.
    DomainUsage shown(DomainUsage usage) {
        if (below(10) == 0) usage.helpers.clear();
        if (below(60) == 0) usage.packages[0].weight.reset();
        if (below(30) == 0 && !usage.helpers.empty()) usage.helpers[0].weight.reset();
        return usage;
    }

    void use(DomainUsage& usage) {
        if (below(50) == 0) usage.packages[0].time_ns /= 2;  // goes back
        for (size_t p = 0; p < packages_; ++p) {
            uint64_t amount = below(4) == 0 ? 0 : below(scale());
            grow(usage.packages[p], amount);
            // At times absurd as well: more than the domain's own.
            grow(usage.helpers[p], below(30) == 0 ? below(scale()) : amount / 4);
            if (below(20) != 0) grow(vms_[p], amount);  // at times the sum misses it
            grow(host_[p], amount);
        }
    }

    ZoneReading changed(ZoneReading& zone) {
        zone.energy_uj = *zone.energy_uj + (below(5) == 0 ? 0 : below(100'000'000));
        if (below(30) == 0) zone.energy_uj = 0;
        if (below(30) == 0) zone.gaps++;
        ZoneReading shown = zone;
        if (below(20) == 0) shown.energy_uj.reset();
        if (below(20) == 0) shown.counted = false;
        return shown;
    }

    void start() {
        domains_.push_back(
            domain("vm" + std::to_string(below(8)), next_instance_++, std::vector<Usage>(packages_)));
        domains_.back().helpers.resize(packages_);
    }

    void end(size_t index) {
        departed_.push_back(domains_[index]);
        domains_.erase(domains_.begin() + static_cast<ptrdiff_t>(index));
    }

    void restart() {
        ++epoch_;
        std::fill(host_.begin(), host_.end(), Usage{});
        std::fill(vms_.begin(), vms_.end(), Usage{});
        departed_.clear();
        for (DomainUsage& usage : domains_) {
            usage.packages.assign(packages_, Usage{});
            usage.helpers.assign(packages_, Usage{});
        }
    }

    std::mt19937 random_;
    size_t packages_;
    uint64_t now_ = 1, epoch_ = 1, next_instance_ = 1;
    std::vector<Usage> host_, vms_;
    std::vector<ZoneReading> zones_;
    std::vector<DomainUsage> domains_, departed_;
};

void expect_conserved(const Interval& interval) {
    std::vector<uint64_t> zones(interval.zones.size(), 0);
    uint64_t rows_total = 0, zones_total = 0;
    for (const Row& row : interval.rows) {
        uint64_t row_total = 0;
        for (const ZoneEnergy& part : row.zones) {
            ASSERT_TRUE(interval.zones.at(part.zone).counted);
            zones[part.zone] += part.energy_uj;
            row_total += part.energy_uj;
        }
        ASSERT_EQ(row.energy_uj.value_or(0), row_total);
        ASSERT_LE(row.helper_energy_uj.value_or(0), row_total);
        ASSERT_LE(row.helper_time_ns.value_or(0), row.cpu_time_ns.value_or(0));
        rows_total += row_total;
        if (row.energy_share) {
            ASSERT_GE(*row.energy_share, 0.0);
            ASSERT_LE(*row.energy_share, 1.0);
        }
    }
    for (size_t z = 0; z < zones.size(); ++z) {
        if (!interval.zones[z].counted) continue;
        ASSERT_EQ(zones[z], interval.zones[z].energy_uj) << interval.zones[z].name;
        zones_total += zones[z];
    }
    ASSERT_EQ(rows_total, zones_total);
    // An unsigned difference below zero would be enormous: no part is above its zone.
    for (const Row& row : interval.rows)
        for (const ZoneEnergy& part : row.zones)
            ASSERT_LE(part.energy_uj, interval.zones[part.zone].energy_uj);
}

AttributionOptions random_options(uint32_t seed) {
    AttributionOptions options;
    options.model = seed % 2 == 0 ? Model::HostShare : Model::VmShare;
    options.static_policy = static_cast<StaticPolicy>(seed / 2 % 4);
    if (seed / 8 % 3 != 0) options.static_uw[seed / 8 % 3 == 1 ? "" : "zone-0"] = 5'000'000;
    return options;
}

TEST(Property, RowsAddUpToTheCountedZonesWhateverHappens) {
    size_t intervals = 0, with_energy = 0, weighed = 0, not_weighed = 0, with_helpers = 0;
    for (uint32_t seed = 0; seed < 400; ++seed) {
        RandomHost host(seed);
        Attributor attributor(random_options(seed));
        for (int step = 0; step < 40; ++step) {
            std::optional<Interval> interval = attributor.add(host.next()).interval;
            if (!interval) continue;
            ++intervals;
            with_energy += std::any_of(interval->rows.begin(), interval->rows.end(),
                                       [](const Row& row) { return row.energy_uj.value_or(0) != 0; });
            (interval->weighed ? weighed : not_weighed) += 1;
            with_helpers += std::any_of(interval->rows.begin(), interval->rows.end(),
                                        [](const Row& row) { return row.helper_energy_uj.value_or(0) != 0; });
            expect_conserved(*interval);
            if (HasFatalFailure()) FAIL() << "seed " << seed << " step " << step;
        }
    }
    // The property must not hold for want of cases.
    EXPECT_GT(intervals, 8000U);
    EXPECT_GT(with_energy, 7000U);
    EXPECT_GT(weighed, 3000U);
    EXPECT_GT(not_weighed, 1000U);
    EXPECT_GT(with_helpers, 3000U);
}

/// Without defects, each domain's CPU time over all intervals is its counter.
TEST(Property, EachDomainIsBookedOnceOverItsLife) {
    std::mt19937 random(7);
    Attributor attributor(AttributionOptions{});
    std::map<uint64_t, uint64_t> used, booked;
    std::vector<DomainUsage> running, departed;
    uint64_t vms = 0;
    for (uint64_t step = 1; step <= 300; ++step) {
        if (step > 1 && random() % 2 == 0) running.push_back(domain("vm", step, 0));
        for (DomainUsage& usage : running) {
            uint64_t amount = random() % second;
            usage.packages[0].time_ns += amount;
            used[usage.instance] += amount;
            vms += amount;
        }
        while (running.size() > 4) {
            departed.push_back(running.front());
            running.erase(running.begin());
        }
        SampleBuilder builder(step * second);
        builder.package(vms + step, vms).zone("p0", step);
        for (const DomainUsage& usage : running) builder.running(usage);
        for (const DomainUsage& usage : departed) builder.departed(usage);
        std::optional<Interval> interval = attributor.add(builder).interval;
        if (!interval) continue;
        for (const Row& row : interval->rows)
            if (row.instance) booked[*row.instance] += row.cpu_time_ns.value_or(0);
        EXPECT_EQ(find_row(*interval, RowKind::Other), nullptr);
    }
    EXPECT_GT(used.size(), 100U);
    for (const auto& [instance, time_ns] : used) EXPECT_EQ(booked[instance], time_ns) << instance;
}

}  // namespace
}  // namespace virt_power::test
