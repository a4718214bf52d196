// SPDX-License-Identifier: LGPL-2.1-or-later
#include "power_engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "fake_root.hpp"

namespace virt_power {
namespace {

using testing::Contains;
using testing::HasSubstr;

/// What domains use is what the test says.
class FakeCounter : public UsageCounter {
public:
    [[nodiscard]] UsageSource source() const override { return UsageSource::Bpf; }
    [[nodiscard]] Status add(OwnerId owner, const Process& process, std::string_view /*label*/) override {
        if (process.pid == 13) return Error{ErrorKind::Gone, 0, "gone"};
        owners[owner] = 0;
        return ok();
    }
    std::optional<OwnerUsage> end(OwnerId owner, uint64_t /*now_ns*/) override {
        auto found = owners.find(owner);
        if (found == owners.end()) return std::nullopt;
        OwnerUsage usage{{{found->second, std::nullopt}}, UsageSource::Bpf};
        owners.erase(found);
        return usage;
    }
    void forget(OwnerId owner) override { forgotten.push_back(owner); }
    void weigh(const Weighing& weighing) override { weighed.push_back(weighing); }
    [[nodiscard]] Result<UsageReading> read() override {
        reads++;
        if (throws) throw std::runtime_error("out of memory");
        if (fails) return Error{ErrorKind::Transient, 0, "the map cannot be read"};
        if (held_up > 0) {
            held_up--;
            hold_up();
        }
        UsageReading reading;
        reading.rest = {{1000, std::nullopt}};
        reading.owners = OwnerUsages(1);
        for (auto& [owner, ns] : owners) {
            ns += 100;
            reading.owners.add(owner, {{{ns, std::nullopt}}, UsageSource::Bpf});
        }
        return reading;
    }

    std::map<OwnerId, uint64_t> owners;
    std::vector<OwnerId> forgotten;
    std::vector<Weighing> weighed;
    std::atomic<int> reads = 0;
    std::atomic<int> held_up = 0;  ///< so many readings
    std::function<void()> hold_up;
    std::atomic<bool> fails = false;
    std::atomic<bool> throws = false;
};

class TestSensor : public EnergySensor {
public:
    explicit TestSensor(const std::string& name) {
        info_.name = name;
        info_.type = "package";
        info_.source = "powercap";
        info_.package_id = 0;
        info_.max_power_uw = 1000;
    }
    [[nodiscard]] const SensorInfo& info() const override { return info_; }
    [[nodiscard]] Result<uint64_t> read_uj() override {
        if (hang.valid()) hang.wait();
        return raw_uj += 5;
    }

    SensorInfo info_;
    std::shared_future<void> hang;
    std::atomic<uint64_t> raw_uj = 0;
};

class Engine : public testing::Test {
protected:
    Engine() { root_.cpus("0", {0}); }
    ~Engine() override {
        release_.set_value();
        engine_.reset();
    }

    void start(Sensors sensors, bool modelled = false) {
        auto topology = std::make_unique<CpuTopology>(root_.path());
        (void)topology->refresh();
        auto counter = std::make_unique<FakeCounter>();
        counter_ = counter.get();
        auto usage = std::make_unique<UsageKeeper>(
            std::move(topology), std::move(counter), DomainRegistry::Limits{UINT64_MAX, 10},
            [outlives = outlives_] { return outlives->now_ns += 1000; });
        EngineOptions options;
        options.modelled = modelled;
        options.model = {10'000'000, 5'000'000};
        options.now_ns = [outlives = outlives_] { return outlives->now_ns += 1000; };
        options.discover = [sensors = std::move(sensors)](const Warn&) { return sensors; };
        options.add_static = [](std::vector<ZoneReading>& zones, const Warn& warn) {
            warn("of static power");
            for (ZoneReading& zone : zones) zone.static_uw = zone.source == "modelled" ? 3 : 4;
        };
        if (weighing_) options.weighing = [weighing = *weighing_] { return weighing; };
        options.log = [outlives = outlives_](LogLevel, std::string_view message) {
            std::lock_guard lock(outlives->mutex);
            outlives->log.emplace_back(message);
        };
        engine_ = std::make_unique<PowerEngine>(std::move(usage), std::move(options));
    }
    std::vector<std::string> log() {
        std::lock_guard lock(outlives_->mutex);
        return outlives_->log;
    }

    FakeRoot root_;
    std::promise<void> release_;
    /// A thread that a sensor held may go on after the test.
    struct Outlives {
        std::atomic<uint64_t> now_ns = 1'000'000'000'000;
        std::mutex mutex;
        std::vector<std::string> log;
    };
    std::shared_ptr<Outlives> outlives_ = std::make_shared<Outlives>();
    std::atomic<uint64_t>& now_ns_ = outlives_->now_ns;
    FakeCounter* counter_ = nullptr;
    std::optional<Weighing> weighing_;
    std::unique_ptr<PowerEngine> engine_;
};

const Uuid web = {1};

TEST_F(Engine, a_snapshot_holds_host_zones_and_domains_of_one_pass) {
    start({std::make_shared<TestSensor>("package-0")});
    ASSERT_TRUE(engine_->usage().domain_started(web, "web", {7, 1}));
    (void)engine_->snapshot();
    auto snapshot = engine_->snapshot();
    ASSERT_TRUE(snapshot && snapshot->valid);
    EXPECT_TRUE(snapshot->any_counted());
    EXPECT_EQ(snapshot->host.zones[0].name, "package-0");
    EXPECT_EQ(snapshot->host.zones[0].static_uw, 4U);
    EXPECT_THAT(log(), Contains("of static power"));
    EXPECT_EQ(snapshot->domains.find(web)->packages[0].time_ns, 200U);
    EXPECT_EQ(snapshot->host.packages[0].vms.time_ns, 200U);
    EXPECT_EQ(snapshot->host.packages[0].host.time_ns, 1200U);
    EXPECT_EQ(snapshot->host.vm_count, 1U);
}

TEST_F(Engine, use_weighs_as_calibrated_before_anybody_asks) {
    weighing_ = Weighing{600, 1000, 0, true};
    start({});
    EXPECT_THAT(counter_->weighed, testing::ElementsAre(*weighing_));
    (void)engine_->snapshot();
    EXPECT_THAT(counter_->weighed, testing::SizeIs(1));
}

TEST_F(Engine, each_call_sees_what_happened_before_it) {
    start({});
    for (unsigned char n = 1; n < 50; n++) {
        ASSERT_TRUE(engine_->usage().domain_started({n}, "d", {n == 13 ? 99 : n, 1}));
        EXPECT_EQ(engine_->snapshot()->domains.size(), n);
    }
}

TEST_F(Engine, calls_at_the_same_time_share_passes) {
    auto sensor = std::make_shared<TestSensor>("package-0");
    std::promise<void> gate;
    sensor->hang = gate.get_future().share();
    start({sensor});
    std::vector<std::thread> threads;
    std::atomic<int> waiting = 0;
    for (int n = 0; n < 32; n++)
        threads.emplace_back([&] {
            waiting++;
            EXPECT_TRUE(engine_->snapshot());
        });
    while (waiting < 32) std::this_thread::yield();
    gate.set_value();
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(counter_->reads, 16);  // those that arrived meanwhile share one, stragglers the next
}

TEST_F(Engine, without_sensors_a_call_takes_its_pass_itself) {
    std::thread::id reader;
    auto taken_by = [&] {
        counter_->hold_up = [&] { reader = std::this_thread::get_id(); };
        counter_->held_up = 1;
        (void)engine_->snapshot();
        return reader;
    };
    start({});
    EXPECT_EQ(taken_by(), std::this_thread::get_id());
    start({std::make_shared<TestSensor>("package-0")});
    EXPECT_NE(taken_by(), std::this_thread::get_id());
}

TEST_F(Engine, without_sensors_calls_at_the_same_time_share_passes_too) {
    std::promise<void> began, gate;
    start({});
    counter_->hold_up = [&] {
        began.set_value();
        gate.get_future().wait();
    };
    counter_->held_up = 1;
    std::vector<std::thread> threads;
    threads.emplace_back([&] { EXPECT_TRUE(engine_->snapshot()); });
    began.get_future().wait();
    std::atomic<int> waiting = 0;
    for (int n = 0; n < 32; n++)
        threads.emplace_back([&] {
            uint64_t called_ns = now_ns_;
            waiting++;
            EXPECT_GT(engine_->snapshot()->host.time_ns, called_ns);
        });
    while (waiting < 32) std::this_thread::yield();
    gate.set_value();
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(counter_->reads, 16);
}

TEST_F(Engine, without_sensors_nobody_waits_long_behind_a_call_that_does) {
    std::promise<void> began, gate;
    start({});
    auto last = engine_->snapshot();
    counter_->hold_up = [&] {
        began.set_value();
        gate.get_future().wait();
    };
    counter_->held_up = 1;
    std::thread first([&] { EXPECT_TRUE(engine_->snapshot()); });
    began.get_future().wait();
    EXPECT_EQ(engine_->snapshot(), last);
    gate.set_value();
    first.join();
    EXPECT_NE(engine_->snapshot(), last);
}

TEST_F(Engine, a_domain_that_departs_stays_in_the_sums) {
    start({});
    ASSERT_TRUE(engine_->usage().domain_started(web, "web", {7, 1}));
    (void)engine_->snapshot();
    engine_->usage().domain_stopped(web);
    auto snapshot = engine_->snapshot();
    EXPECT_TRUE(snapshot->domains.empty());
    EXPECT_EQ(snapshot->host.packages[0].vms.time_ns, 100U);
    EXPECT_EQ(snapshot->host.departed_totals[0].time_ns, 100U);
    ASSERT_EQ(snapshot->departed.size(), 1U);
    EXPECT_EQ(snapshot->departed[0].usage.name, "web");
}

TEST_F(Engine, the_same_uuid_with_another_process_is_a_new_life) {
    start({});
    ASSERT_TRUE(engine_->usage().domain_started(web, "web", {7, 1}));
    uint64_t first = engine_->snapshot()->domains.find(web)->instance;
    ASSERT_TRUE(engine_->usage().domain_started(web, "web", {7, 1}));
    EXPECT_EQ(engine_->snapshot()->domains.find(web)->packages[0].time_ns, 200U);
    ASSERT_TRUE(engine_->usage().domain_started(web, "web", {8, 5}));
    auto snapshot = engine_->snapshot();
    EXPECT_NE(snapshot->domains.find(web)->instance, first);
    EXPECT_EQ(snapshot->domains.find(web)->packages[0].time_ns, 100U);
    EXPECT_EQ(snapshot->departed.size(), 1U);
}

TEST_F(Engine, a_process_that_is_gone_is_not_counted) {
    start({});
    EXPECT_FALSE(engine_->usage().domain_started(web, "web", {13, 1}));
    EXPECT_TRUE(engine_->snapshot()->domains.empty());
}

TEST_F(Engine, without_counters_energy_is_absent_unless_it_is_modelled) {
    start({});
    EXPECT_FALSE(engine_->snapshot()->any_counted());
    EXPECT_TRUE(engine_->snapshot()->host.zones.empty());
    start({}, true);
    auto first = engine_->snapshot();
    ASSERT_TRUE(first->any_counted());
    EXPECT_EQ(first->host.zones[0].source, "modelled");
    EXPECT_EQ(first->host.zones[0].static_uw, 3U);
    now_ns_ += 2'000'000'000;
    auto second = engine_->snapshot();
    EXPECT_NEAR(static_cast<double>(*second->host.zones[0].energy_uj - *first->host.zones[0].energy_uj), 20e6,
                1000);
}

TEST_F(Engine, measured_energy_comes_before_modelled) {
    start({std::make_shared<TestSensor>("package-0")}, true);
    (void)engine_->snapshot();
    EXPECT_EQ(engine_->snapshot()->host.zones[0].source, "powercap");
}

TEST_F(Engine, a_counter_that_never_moves_gives_way_to_the_model_after_a_while) {
    auto still = std::make_shared<TestSensor>("package-0");
    still->info_.type = "psys";
    start({still}, true);
    EXPECT_FALSE(engine_->snapshot()->any_counted());
    now_ns_ += 6'000'000'000;
    EXPECT_EQ(engine_->snapshot()->host.zones[0].source, "modelled");
}

/// Nothing else makes this clock go on by milliseconds.
TEST_F(Engine, a_pass_that_was_held_up_between_zones_and_use_is_done_again) {
    start({std::make_shared<TestSensor>("package-0")});
    uint64_t before_ns = engine_->snapshot()->host.time_ns;
    int reads = counter_->reads;
    counter_->hold_up = [this] { now_ns_ += 5'000'000; };
    counter_->held_up = 1;
    auto snapshot = engine_->snapshot();
    EXPECT_EQ(counter_->reads, reads + 2);
    EXPECT_GT(snapshot->host.time_ns, before_ns + 5'000'000);
}

TEST_F(Engine, the_shortest_of_a_few_attempts_counts_where_all_are_held_up) {
    start({std::make_shared<TestSensor>("package-0")});
    (void)engine_->snapshot();
    std::vector<uint64_t> times_ns;
    int reads = counter_->reads;
    counter_->hold_up = [&] {
        times_ns.push_back(now_ns_);
        now_ns_ += times_ns.size() == 2 ? 3'000'000 : 4'000'000;
    };
    counter_->held_up = 100;
    auto snapshot = engine_->snapshot();
    EXPECT_EQ(counter_->reads, reads + 4);
    EXPECT_EQ(snapshot->host.time_ns, times_ns[1]);
    counter_->hold_up = [this] { now_ns_ += 50'000'000; };
    reads = counter_->reads;
    (void)engine_->snapshot();
    EXPECT_EQ(counter_->reads, reads + 1);  // no more of them would help
}

/// Zones that draw 1 W by this clock; one of them keeps the reader for 4 ms from some time on.
TEST_F(Engine, energy_is_that_of_the_instant_of_use_however_long_the_sensors_take) {
    class Sensor : public TestSensor {
    public:
        Sensor(const std::string& name, std::atomic<uint64_t>& now_ns) : TestSensor(name), now_ns_(now_ns) {
            info_.max_power_uw = 10'000'000;
        }
        [[nodiscard]] Result<uint64_t> read_uj() override { return (now_ns_ += takes_ns) / 1000; }

        std::atomic<uint64_t> takes_ns = 0;

    private:
        std::atomic<uint64_t>& now_ns_;
    };
    auto slow = std::make_shared<Sensor>("package-0", now_ns_);
    start({slow, std::make_shared<Sensor>("package-1", now_ns_)});
    auto before = engine_->snapshot();
    now_ns_ += 1'000'000'000;
    slow->takes_ns = 4'000'000;
    auto after = engine_->snapshot();
    uint64_t drawn_uj = *after->host.zones[1].energy_uj - *before->host.zones[1].energy_uj;
    uint64_t elapsed_us = (after->host.time_ns - before->host.time_ns) / 1000;
    EXPECT_GE(drawn_uj + 5, elapsed_us);
    EXPECT_LE(drawn_uj, elapsed_us + 5);
}

TEST_F(Engine, a_pass_that_fails_is_said_once_and_is_not_valid) {
    start({});
    counter_->fails = true;
    EXPECT_FALSE(engine_->snapshot()->valid);
    EXPECT_FALSE(engine_->snapshot()->valid);
    EXPECT_EQ(log().size(), 1U);
    counter_->fails = false;
    EXPECT_TRUE(engine_->snapshot()->valid);
}

TEST_F(Engine, what_is_thrown_in_its_thread_costs_that_pass_alone) {
    start({});
    counter_->throws = true;
    EXPECT_FALSE(engine_->snapshot());
    EXPECT_THAT(log(), Contains(HasSubstr("out of memory")));
    counter_->throws = false;
    EXPECT_TRUE(engine_->snapshot()->valid);
}

/// The one test here that waits: for the engine's own patience.
TEST_F(Engine, a_sensor_that_hangs_holds_up_nobody_for_long_and_is_given_up) {
    auto hanging = std::make_shared<TestSensor>("package-0");
    auto good = std::make_shared<TestSensor>("package-1");
    start({hanging, good});
    (void)engine_->snapshot();
    auto last = engine_->snapshot();
    ASSERT_TRUE(last->any_counted());
    hanging->hang = release_.get_future().share();
    auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(engine_->snapshot(), last);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1900));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the thread may have begun later
    begin = std::chrono::steady_clock::now();
    EXPECT_EQ(engine_->snapshot(), last);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(450));
    std::this_thread::sleep_for(std::chrono::milliseconds(2100));
    auto fresh = engine_->snapshot();
    EXPECT_NE(fresh, last);
    EXPECT_EQ(fresh->host.zones[0].energy_uj, std::nullopt);
    EXPECT_TRUE(fresh->host.zones[1].energy_uj);
    EXPECT_THAT(log(), Contains(HasSubstr("package-0: the kernel does not answer")));
}

}  // namespace
}  // namespace virt_power
