// SPDX-License-Identifier: LGPL-2.1-or-later
// What a daemon finds of the one before it.
#include "usage_keeper.hpp"

#include <gtest/gtest.h>

#include "fake_root.hpp"

namespace virt_power {
namespace {

constexpr uint64_t s = 1'000'000'000;

Uuid uuid(unsigned char n) { return {n}; }
std::string label(unsigned char n, const std::string& name) {
    Uuid bytes = uuid(n);
    return std::string(bytes.begin(), bytes.end()) + name;
}
std::vector<Usage> used(uint64_t ns) { return {{ns, std::nullopt}}; }

/// One that goes on with what the test says.
class KeptCounter : public UsageCounter {
public:
    [[nodiscard]] UsageSource source() const override { return UsageSource::Bpf; }
    std::optional<KeptUsage> take_over(const std::function<OwnerId()>& next_id) override {
        for (KeptOwner& owner : kept.owners) {
            owner.id = next_id();
            counted[owner.id] = owner.used.packages[0].time_ns;
        }
        return kept;
    }
    [[nodiscard]] Status add(OwnerId owner, const Process& /*process*/, std::string_view /*label*/) override {
        counted[owner] = 0;
        return ok();
    }
    [[nodiscard]] bool full() const override { return counted.size() - forgotten.size() >= room; }
    std::optional<OwnerUsage> end(OwnerId owner, uint64_t /*now_ns*/) override {
        ended.push_back(owner);
        return OwnerUsage{used(counted.at(owner)), UsageSource::Bpf};
    }
    void forget(OwnerId owner) override { forgotten.push_back(owner); }
    [[nodiscard]] Result<UsageReading> read() override {
        UsageReading reading;
        reading.rest = used(1000);
        reading.rest[0].weight = weight;
        reading.owners = OwnerUsages(1);
        for (auto [owner, ns] : counted) reading.owners.add(owner, {used(ns), UsageSource::Bpf});
        return reading;
    }

    KeptUsage kept;
    std::optional<uint64_t> weight;  ///< of the rest
    std::map<OwnerId, uint64_t> counted;
    std::vector<OwnerId> ended;
    std::vector<OwnerId> forgotten;
    size_t room = 100;
};

class Keeper : public testing::Test {
protected:
    void keep(unsigned char n, const std::string& name, Process process, std::optional<uint64_t> ended_ns,
              uint64_t ns) {
        counter_->kept.owners.push_back({0, label(n, name), process, ended_ns, {used(ns), UsageSource::Bpf}});
    }
    void start() {
        root_.cpus("0-1", {0, 0});
        auto topology = std::make_unique<CpuTopology>(root_.path());
        ASSERT_TRUE(topology->refresh());
        keeper_ = std::make_unique<UsageKeeper>(
            std::move(topology), std::unique_ptr<UsageCounter>(counter_), DomainRegistry::Limits{900 * s, 2},
            [this] { return now_ns_; },
            [this](pid_t pid) -> Result<Process> {
                auto found = processes_.find(pid);
                if (no_descriptors_) return Error{ErrorKind::Transient, EMFILE, "no descriptors"};
                if (found != processes_.end()) return Process{pid, found->second};
                return Error{ErrorKind::Gone, 0, "gone"};
            });
    }
    UsageSnapshot read() { return *keeper_->read(); }

    FakeRoot root_;
    uint64_t now_ns_ = 1000 * s;
    std::map<pid_t, uint64_t> processes_;  ///< and their start
    bool no_descriptors_ = false;
    KeptCounter* counter_ = new KeptCounter;
    std::unique_ptr<UsageKeeper> keeper_;
};

TEST(UuidKey, has_the_order_of_the_bytes) {
    for (size_t n = 0; n < 16; n++) {
        Uuid less{}, more{};
        less.fill(0x80);
        more.fill(0x80);
        for (size_t after = n + 1; after < 16; after++) less[after] = 0xff;
        more[n] = 0x81;
        EXPECT_LT(UuidKey(less), UuidKey(more)) << n;
        EXPECT_NE(UuidKey(less), UuidKey(more)) << n;
        EXPECT_EQ(UuidKey(more), UuidKey(more)) << n;
    }
}

TEST_F(Keeper, goes_on_with_a_domain_that_still_runs) {
    keep(1, "web", {7, 70}, std::nullopt, 500);
    processes_[7] = 70;
    start();
    ASSERT_TRUE(keeper_->domain_started(uuid(1), "web", {7, 70}));
    UsageSnapshot snapshot = read();
    ASSERT_EQ(snapshot.domains.size(), 1U);
    EXPECT_EQ(snapshot.domains.find(uuid(1))->packages[0].time_ns, 500U);
    EXPECT_TRUE(snapshot.departed.empty());
    EXPECT_EQ(snapshot.host.packages[0].vms.time_ns, 500U);
}

TEST_F(Keeper, one_that_ended_meanwhile_is_departed_with_its_name) {
    keep(1, "web", {7, 70}, std::nullopt, 500);
    keep(2, "db", {8, 80}, std::nullopt, 300);
    processes_[8] = 81;  // another process by now
    start();
    UsageSnapshot snapshot = read();
    EXPECT_TRUE(snapshot.domains.empty());
    ASSERT_EQ(snapshot.departed.size(), 2U);
    EXPECT_EQ(snapshot.departed[0].usage.name, "web");
    EXPECT_EQ(snapshot.departed[0].usage.packages, used(500));
    EXPECT_EQ(snapshot.departed[0].usage.instance, (Process{7, 70}.instance()));
    EXPECT_EQ(snapshot.host.departed_totals, used(800));
    EXPECT_EQ(snapshot.host.packages[0].vms.time_ns, 800U);
}

TEST_F(Keeper, one_that_libvirt_never_tells_of_is_departed_when_its_process_ends) {
    keep(1, "web", {7, 70}, std::nullopt, 500);
    processes_[7] = 70;
    start();
    EXPECT_EQ(read().domains.size(), 1U);
    processes_.clear();
    EXPECT_TRUE(read().domains.empty());
    EXPECT_EQ(read().departed.size(), 1U);
    EXPECT_EQ(counter_->ended.size(), 1U);
}

TEST_F(Keeper, one_that_cannot_be_looked_at_has_not_ended) {
    keep(1, "web", {7, 70}, std::nullopt, 500);
    keep(2, "db", {8, 80}, std::nullopt, 300);
    processes_[7] = 70;
    no_descriptors_ = true;
    start();
    ASSERT_TRUE(keeper_->domain_started(uuid(1), "web", {7, 70}));
    EXPECT_EQ(read().domains.size(), 2U);
    EXPECT_EQ(read().domains.find(uuid(1))->packages[0].time_ns, 500U);
    no_descriptors_ = false;
    UsageSnapshot snapshot = read();
    EXPECT_EQ(snapshot.domains.size(), 1U);
    ASSERT_EQ(snapshot.departed.size(), 1U);
    EXPECT_EQ(snapshot.departed[0].usage.name, "db");
}

TEST_F(Keeper, the_departed_have_weights_where_the_host_has) {
    counter_->kept.forgotten = {{100, std::nullopt, 60}};
    counter_->kept.owners.push_back(
        {0, label(1, "web"), {7, 70}, 990 * s, {{{50, std::nullopt, 30}}, UsageSource::Bpf}});
    start();
    UsageSnapshot snapshot = read();
    ASSERT_EQ(snapshot.departed.size(), 1U);
    EXPECT_FALSE(snapshot.departed[0].usage.packages[0].weight);
    EXPECT_FALSE(snapshot.host.departed_totals[0].weight);
    counter_->weight = 900;  // hyperthreads were switched on
    snapshot = read();
    EXPECT_EQ(snapshot.departed[0].usage.packages[0].weight, 30U);
    EXPECT_EQ(snapshot.host.departed_totals[0].weight, 90U);
}

TEST_F(Keeper, a_cpu_that_came_online_is_known_when_a_domain_ends) {
    start();
    ASSERT_TRUE(keeper_->domain_started(uuid(1), "web", {7, 70}));
    root_.cpus("0-2", {0, 0, 0});
    keeper_->domain_stopped(uuid(1));
    EXPECT_EQ(
        keeper_->with_topology([](const CpuTopology& topology) { return topology.online_cpus().size(); }),
        3U);
    root_.cpus("0-3", {0, 0, 0, 0});
    ASSERT_TRUE(keeper_->domain_started(uuid(1), "web", {9, 90}));
    EXPECT_EQ(
        keeper_->with_topology([](const CpuTopology& topology) { return topology.online_cpus().size(); }),
        4U);
}

TEST_F(Keeper, another_process_of_a_domain_is_another_life) {
    keep(1, "web", {7, 70}, std::nullopt, 500);
    processes_ = {{7, 70}, {9, 90}};
    start();
    ASSERT_TRUE(keeper_->domain_started(uuid(1), "web", {9, 90}));
    UsageSnapshot snapshot = read();
    EXPECT_EQ(snapshot.domains.find(uuid(1))->instance, (Process{9, 90}.instance()));
    ASSERT_EQ(snapshot.departed.size(), 1U);
    EXPECT_EQ(snapshot.departed[0].usage.instance, (Process{7, 70}.instance()));
}

TEST_F(Keeper, the_departed_keep_their_order_their_end_and_their_sum) {
    keep(3, "last", {9, 90}, 990 * s, 30);
    keep(1, "first", {7, 70}, 10 * s, 10);  // older than they are kept
    keep(2, "second", {8, 80}, 980 * s, 20);
    counter_->kept.forgotten = used(1000);
    start();
    UsageSnapshot snapshot = read();
    ASSERT_EQ(snapshot.departed.size(), 2U);
    EXPECT_EQ(snapshot.departed[0].usage.name, "second");
    EXPECT_EQ(snapshot.departed[1].usage.name, "last");
    EXPECT_EQ(snapshot.departed[1].ended_ns, 990 * s);
    EXPECT_EQ(counter_->forgotten.size(), 1U);
    EXPECT_EQ(snapshot.host.departed_totals, used(1060));
    EXPECT_TRUE(counter_->ended.empty()) << "they ended before";
}

TEST_F(Keeper, what_has_a_label_that_no_daemon_wrote_is_in_the_sum_of_the_departed) {
    counter_->kept.owners.push_back({0, "short", {7, 70}, std::nullopt, {used(500), UsageSource::Bpf}});
    start();
    EXPECT_TRUE(read().domains.empty());
    EXPECT_TRUE(read().departed.empty());
    EXPECT_EQ(read().host.departed_totals, used(500));
    EXPECT_EQ(counter_->forgotten.size(), 1U);
}

TEST_F(Keeper, another_process_with_the_pid_of_one_that_ended_is_not_the_domain) {
    keep(1, "web", {7, 70}, std::nullopt, 500);
    processes_[7] = 75;
    start();
    // libvirt tells of the pid that it knows, before it finds that its QEMU has ended.
    EXPECT_EQ(keeper_->domain_started(uuid(1), "web", {7, 75}).error().kind, ErrorKind::Gone);
    EXPECT_TRUE(read().domains.empty());
    EXPECT_EQ(read().departed.size(), 1U);
    keeper_->domain_stopped(uuid(1));
    // Started again, with the same pid by chance.
    Process later{7, now_ns_ / tick_ns() + 5};
    EXPECT_TRUE(keeper_->domain_started(uuid(1), "web", later));
    EXPECT_EQ(read().domains.size(), 1U);
}

TEST_F(Keeper, what_has_ended_makes_room_for_what_runs) {
    keep(1, "old", {7, 70}, 990 * s, 10);
    keep(2, "newer", {8, 80}, 995 * s, 20);
    counter_->room = 2;
    start();
    ASSERT_TRUE(keeper_->domain_started(uuid(3), "web", {9, 90}));
    EXPECT_EQ(counter_->forgotten.size(), 1U);
    UsageSnapshot snapshot = read();
    ASSERT_EQ(snapshot.departed.size(), 1U);
    EXPECT_EQ(snapshot.departed[0].usage.name, "newer");
    EXPECT_EQ(snapshot.host.departed_totals, used(30));
}

}  // namespace
}  // namespace virt_power
