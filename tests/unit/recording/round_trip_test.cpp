// SPDX-License-Identifier: LGPL-2.1-or-later
// What goes into a recording comes out of it: every field, and what was absent absent.
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "recordings.hpp"

namespace virt_power::test {
namespace {

constexpr uint64_t most = std::numeric_limits<uint64_t>::max();

using RoundTrip = RecordingTest;

/// A sample that has everything.
Sample full_sample() {
    Sample sample;
    sample.host = "kvm1";
    sample.uri = "qemu:///system";
    sample.wall_ns = std::numeric_limits<int64_t>::min();
    sample.monotonic_ns = std::numeric_limits<int64_t>::max();
    sample.status = EnergyStatus::Error;
    sample.status_reason = "a \"reason\"";
    sample.host_cpus = std::numeric_limits<uint32_t>::max();
    HostReading& reading = sample.reading.emplace();
    reading.epoch = most;
    reading.time_ns = most - 1;
    reading.usage_source = UsageSource::Bpf;
    reading.cycles_gaps = 3;
    reading.interval_ns = 10'000'000'000;
    reading.vm_count = 7;
    reading.packages = {{-1, {1, 2}, {3, std::nullopt}}, {7, {most, most}, {0, 0}, most}};
    reading.zones = {{"package-0", "package", 0, "powercap", true, most, 2, std::nullopt, most},
                     {"psys", "psys", std::nullopt, "simulated-perf", false, std::nullopt, 0}};
    reading.departed_totals = {{5, std::nullopt}, {6, 7}};
    reading.departed = {{"old", "uuid-old", 9, {{1, 2}}, UsageSource::Proc}};
    sample.domains = {{{"a", "uuid-a", 1, {{1, 2}, {3, std::nullopt}}, UsageSource::Bpf}, 5},
                      {{"no use", "uuid-b", 0, {}, std::nullopt}, std::nullopt}};
    sample.notices = {"one", "two\n\xff"};
    reading.weighing = Weighing{600, std::numeric_limits<uint32_t>::max(), 0, true};
    reading.packages[0].host.weight = most;
    reading.packages[0].shared = most;
    reading.packages[1].squared = most;
    reading.departed_totals[1].weight = 8;
    reading.departed[0].packages[0].weight = 9;
    reading.departed[0].helpers = {{1, std::nullopt, 0}};
    sample.domains[0].usage.packages[1].weight = 10;
    sample.domains[0].usage.helpers = {{most, std::nullopt, most}, {0, std::nullopt, std::nullopt}};
    sample.domains[0].vcpus = std::numeric_limits<uint32_t>::max();
    sample.domains[1].memory_kib = most;
    return sample;
}

TEST_F(RoundTrip, EveryFieldAndEachAlone) {
    std::vector<Sample> given{full_sample(), Sample{}};
    auto vary = [&given](auto change) {
        given.push_back(full_sample());
        change(given.back());
    };
    vary([](Sample& s) { s.host = "\xff"; });
    vary([](Sample& s) { s.uri.clear(); });
    vary([](Sample& s) { s.status = EnergyStatus::NoGroup; });
    vary([](Sample& s) { s.status_reason.clear(); });
    vary([](Sample& s) { s.host_cpus = 0; });
    vary([](Sample& s) { s.reading.reset(); });
    vary([](Sample& s) { s.reading->usage_source = UsageSource::Proc; });
    vary([](Sample& s) { s.reading->cycles_gaps.reset(); });
    vary([](Sample& s) { s.reading->interval_ns.reset(); });
    vary([](Sample& s) { s.reading->vm_count.reset(); });
    vary([](Sample& s) { s.reading->packages.clear(); });
    vary([](Sample& s) { s.reading->packages[0].id = 5; });
    vary([](Sample& s) { s.reading->zones.clear(); });
    vary([](Sample& s) { s.reading->zones[0].name += "x"; });
    vary([](Sample& s) { s.reading->zones[0].type = "dram"; });
    vary([](Sample& s) { s.reading->zones[0].package = 1; });
    vary([](Sample& s) { s.reading->zones[0].source = "perf"; });
    vary([](Sample& s) { s.reading->zones[0].counted = false; });
    vary([](Sample& s) { s.reading->zones[0].gaps = most; });
    vary([](Sample& s) { s.reading->zones[0].static_uw = most; });
    vary([](Sample& s) { s.reading->zones[0].static_uw.reset(); });
    vary([](Sample& s) { s.reading->zones[0].limit_uw = 0; });
    vary([](Sample& s) { s.reading->zones[0].limit_uw.reset(); });
    vary([](Sample& s) { s.reading->zones.pop_back(); });
    vary([](Sample& s) { s.reading->packages[1].frequency_khz = 0; });
    vary([](Sample& s) { s.reading->packages[1].frequency_khz.reset(); });
    vary([](Sample& s) { s.reading->departed_totals.clear(); });
    vary([](Sample& s) { s.reading->departed.clear(); });
    vary([](Sample& s) { s.reading->departed[0].usage_source.reset(); });
    vary([](Sample& s) { s.domains.clear(); });
    vary([](Sample& s) { s.domains[0].cpu_time_ns.reset(); });
    vary([](Sample& s) { s.domains[0].usage.name = "renamed"; });
    vary([](Sample& s) { s.domains[0].usage.uuid = "other"; });
    vary([](Sample& s) { s.domains[0].usage.instance = most; });
    vary([](Sample& s) { s.domains[0].usage.usage_source = UsageSource::Proc; });
    vary([](Sample& s) { s.domains[0].usage.packages[1].cycles = 0; });
    vary([](Sample& s) { std::swap(s.domains[0], s.domains[1]); });
    vary([](Sample& s) { s.domains[1] = s.domains[0]; });
    vary([](Sample& s) { s.reading->departed.push_back(s.domains[0].usage); });
    vary([](Sample& s) { s.notices.clear(); });
    vary([](Sample& s) { s.reading->weighing.reset(); });
    vary([](Sample& s) { s.reading->weighing->measured = false; });
    vary([](Sample& s) { s.reading->weighing->shared_permille = 0; });
    vary([](Sample& s) { s.reading->weighing->square_permille = 7; });
    vary([](Sample& s) { s.reading->packages[0].host.weight.reset(); });
    vary([](Sample& s) { s.reading->packages[1].vms.weight = 0; });
    vary([](Sample& s) { s.reading->packages[0].shared.reset(); });
    vary([](Sample& s) { s.reading->packages[0].squared = 0; });
    vary([](Sample& s) { s.reading->departed_totals[1].weight.reset(); });
    vary([](Sample& s) { s.reading->departed[0].packages[0].weight.reset(); });
    vary([](Sample& s) { s.reading->departed[0].helpers.clear(); });
    vary([](Sample& s) { s.domains[0].usage.packages[1].weight.reset(); });
    vary([](Sample& s) { s.domains[0].usage.helpers.clear(); });
    vary([](Sample& s) { s.domains[0].usage.helpers.pop_back(); });
    vary([](Sample& s) { s.domains[0].usage.helpers[1].weight = 0; });
    vary([](Sample& s) { s.domains[0].vcpus.reset(); });
    vary([](Sample& s) { s.domains[1].vcpus = 0; });
    vary([](Sample& s) { s.domains[1].memory_kib.reset(); });
    auto out = recorder();
    for (const Sample& sample : given) {
        ASSERT_TRUE(out->add(0, sample));
        ASSERT_TRUE(out->add(0, full_sample()));  // so that each changes from the same, and back
    }
    ASSERT_TRUE(out->started());
    ASSERT_TRUE(out->finish());
    Steps read = read_all(path());
    EXPECT_EQ(read.problem, "");
    ASSERT_EQ(read.samples.size(), 2 * given.size());
    for (size_t i = 0; i < given.size(); ++i) {
        EXPECT_EQ(read.samples[2 * i], given[i]) << i;
        EXPECT_EQ(read.samples[2 * i + 1], full_sample()) << i;
    }
}

/// A limit is written when it changes, a frequency each time, and neither where there is none.
TEST_F(RoundTrip, WhatIsNotKnownTakesNoRoom) {
    Sample sample = full_sample(), without = sample;
    without.reading->zones[0].limit_uw.reset();
    without.reading->packages[1].frequency_khz.reset();
    std::vector<Sample> given{without, sample, sample, without, without};
    auto out = recorder();
    for (const Sample& each : given) ASSERT_TRUE(out->add(0, each));
    ASSERT_TRUE(out->started());
    ASSERT_TRUE(out->finish());
    std::istringstream lines(text());
    std::string line, limits, frequencies;
    while (std::getline(lines, line)) {
        auto json = nlohmann::json::parse(line);
        if (json.contains("zone_limit")) limits += json["zone_limit"].dump();
        if (json.contains("package_frequency")) frequencies += json["package_frequency"].dump();
    }
    EXPECT_EQ(limits, "[18446744073709551615,null][]");
    EXPECT_EQ(frequencies, "[null,18446744073709551615][null,18446744073709551615]");
    EXPECT_EQ(read_all(path()).samples, given);
}

/// What domains were given and what use weighs is written when it changes.
TEST_F(RoundTrip, AllocationsAndWeighingAreWrittenWhenTheyChange) {
    Sample sample = full_sample(), more = sample, none = sample;
    more.domains[1].vcpus = 3;
    none.reading->weighing.reset();
    for (DomainSample& domain : none.domains) domain.vcpus.reset(), domain.memory_kib.reset();
    Sample empty = sample;
    empty.domains.clear();
    std::vector<Sample> given{none, sample, sample, more, more, none, none, sample, empty, sample};
    auto out = recorder();
    for (const Sample& each : given) ASSERT_TRUE(out->add(0, each));
    ASSERT_TRUE(out->started());
    ASSERT_TRUE(out->finish());
    std::istringstream lines(text());
    std::string line, vcpus, memory, weighing;
    while (std::getline(lines, line)) {
        auto json = nlohmann::json::parse(line);
        if (json.contains("vcpus")) vcpus += json["vcpus"].dump();
        if (json.contains("memory")) memory += json["memory"].dump();
        if (json.contains("weighing")) weighing += json["weighing"].dump();
    }
    EXPECT_EQ(vcpus, "[4294967295,null][4294967295,3][][4294967295,null][][4294967295,null]");
    EXPECT_EQ(memory,
              "[null,18446744073709551615][][null,18446744073709551615][][null,18446744073709551615]");
    EXPECT_EQ(weighing, "[600,4294967295,0,true]null[600,4294967295,0,true]");
    EXPECT_EQ(read_all(path()).samples, given);
}

/// As recordings were before there were weights.
TEST_F(RoundTrip, WithoutWeightsNoKeySpeaksOfThem) {
    Sample sample = full_sample();
    sample.reading->weighing.reset();
    auto drop = [](std::vector<Usage>& usages) {
        for (Usage& usage : usages) usage.weight.reset();
    };
    for (PackageReading& package : sample.reading->packages)
        package.host.weight.reset(), package.vms.weight.reset(), package.shared.reset(),
            package.squared.reset();
    drop(sample.reading->departed_totals);
    drop(sample.reading->departed[0].packages);
    sample.reading->departed[0].helpers.clear();
    for (DomainSample& domain : sample.domains) {
        drop(domain.usage.packages);
        domain.usage.helpers.clear();
        domain.vcpus.reset(), domain.memory_kib.reset();
    }
    auto out = recorder();
    ASSERT_TRUE(out->add(0, sample));
    ASSERT_TRUE(out->started());
    ASSERT_TRUE(out->finish());
    for (const char* word : {"weigh", "weight", "helper", "shared", "squared", "vcpus", "memory"})
        EXPECT_EQ(text().find(word), std::string::npos) << word;
    EXPECT_EQ(read_all(path()).samples, std::vector<Sample>{sample});
}

TEST_F(RoundTrip, EveryErrorOfEachHostAndEveryStep) {
    auto out = recorder({"qemu:///system", "\xfe", ""});
    std::vector<Error> errors{{ErrorKind::Unsupported, 1, "a"},
                              {ErrorKind::Denied, 13, "\xff"},
                              {ErrorKind::Malformed, 0, ""},
                              {ErrorKind::Gone, -5, "c\n"},
                              {ErrorKind::Transient, 110, "d"}};
    for (size_t i = 0; i < errors.size(); ++i) ASSERT_TRUE(out->add(i % 3, errors[i]));
    ASSERT_TRUE(out->started());
    ASSERT_TRUE(out->tick());
    ASSERT_TRUE(out->add(2, Sample{}));
    ASSERT_TRUE(out->tick());
    ASSERT_TRUE(out->finish());
    auto reader = RecordingReader::open(path());
    ASSERT_TRUE(reader);
    EXPECT_EQ((*reader)->header(),
              (RecordingHeader{"a test", std::chrono::seconds(3), {"qemu:///system", "\xfe", ""}}));
    Steps read = read_all(path());
    EXPECT_EQ(read.problem, "");
    ASSERT_EQ(read.errors.size(), errors.size());
    for (size_t i = 0; i < errors.size(); ++i) {
        EXPECT_EQ(read.errors[i].kind, errors[i].kind);
        EXPECT_EQ(read.errors[i].error_number, errors[i].error_number);
        EXPECT_EQ(read.errors[i].message, errors[i].message);
    }
    EXPECT_EQ(read.hosts, (std::vector<size_t>{0, 1, 2, 0, 1, 2}));
    using enum RecordedStep;
    EXPECT_EQ(read.steps,
              (std::vector<RecordedStep>{RecordedStep::Error, RecordedStep::Error, RecordedStep::Error,
                                         RecordedStep::Error, RecordedStep::Error, Started, Tick,
                                         RecordedStep::Sample, Tick, End}));
}

/// Samples as a host might give them and as none would: domains come, go, come back, move.
class RandomHost {
public:
    explicit RandomHost(unsigned seed) : random_(seed) {}

    Sample next() {
        Sample sample;
        sample.host = text();
        sample.uri = rarely() ? text() : "qemu:///system";
        sample.wall_ns = static_cast<int64_t>(number());
        sample.monotonic_ns = static_cast<int64_t>(number());
        sample.status = static_cast<EnergyStatus>(below(6));
        if (rarely()) sample.status_reason = text();
        sample.host_cpus = static_cast<uint32_t>(below(3));
        if (!rarely()) sample.reading = reading();
        for (size_t i = below(6); i > 0; --i) sample.domains.push_back({domain(), maybe()});
        if (!rarely())
            for (DomainSample& each : sample.domains) {
                if (!rarely()) each.vcpus = static_cast<uint32_t>(below(2));
                each.memory_kib = seldom();
            }
        for (size_t i = rarely() ? below(3) : 0; i > 0; --i) sample.notices.push_back(text());
        return sample;
    }

private:
    uint64_t below(uint64_t limit) { return random_() % limit; }
    bool rarely() { return below(5) == 0; }
    uint64_t number() { return random_() >> below(64); }
    std::optional<uint64_t> maybe() { return rarely() ? std::nullopt : std::optional(number()); }
    std::optional<uint64_t> seldom() { return rarely() ? std::optional(below(3)) : std::nullopt; }
    std::string text() {
        std::string out;
        for (size_t i = below(4); i > 0; --i) out += static_cast<char>(rarely() ? random_() : 'a' + below(3));
        return out;
    }
    std::vector<Usage> usages() {
        std::vector<Usage> out(below(3));
        bool weighed = !rarely();
        for (Usage& usage : out) usage = {number(), maybe(), weighed ? maybe() : std::nullopt};
        return out;
    }
    std::vector<Usage> helpers() {
        std::vector<Usage> out = usages();
        for (Usage& usage : out) usage.cycles.reset();
        return out;
    }
    DomainUsage domain() {
        DomainUsage out{std::string(1, static_cast<char>('a' + below(6))), "uuid", below(3), usages(), {}};
        if (rarely()) out.helpers = helpers();
        if (rarely()) out.name = text();
        if (rarely()) out.usage_source = below(2) ? UsageSource::Bpf : UsageSource::Proc;
        return out;
    }
    HostReading reading() {
        HostReading out;
        out.epoch = number();
        out.time_ns = number();
        out.usage_source = below(2) ? UsageSource::Bpf : UsageSource::Proc;
        out.cycles_gaps = maybe();
        out.interval_ns = maybe();
        if (rarely()) out.vm_count = static_cast<uint32_t>(random_());
        for (size_t i = below(3); i > 0; --i)
            out.packages.push_back({static_cast<int64_t>(below(2)),
                                    {number(), maybe(), seldom()},
                                    {number(), maybe(), seldom()},
                                    seldom(),
                                    seldom(),
                                    seldom()});
        if (rarely()) out.weighing = Weighing{static_cast<uint32_t>(below(3)), 2, 3, below(2) == 0};
        for (size_t i = below(3); i > 0; --i)
            out.zones.push_back({text(), "package",
                                 rarely() ? std::nullopt : std::optional<uint32_t>(below(2)), "perf",
                                 below(2) == 0, maybe(), below(2), std::nullopt, seldom()});
        out.departed_totals = usages();
        for (size_t i = below(4); i > 0; --i) out.departed.push_back(domain());
        return out;
    }

    std::mt19937_64 random_;
};

TEST_F(RoundTrip, RandomSamplesOfSeveralHosts) {
    for (unsigned seed = 0; seed < 20; ++seed) {
        RandomHost host(seed);
        std::vector<Sample> given;
        auto out = recorder({"", "a", "b"}, true);
        ASSERT_TRUE(out->started());
        for (int i = 0; i < 150; ++i) {
            given.push_back(host.next());
            ASSERT_TRUE(out->add(static_cast<size_t>(i % 3), given.back()));
        }
        ASSERT_TRUE(out->finish());
        Steps read = read_all(path());
        ASSERT_EQ(read.problem, "") << seed;
        ASSERT_EQ(read.samples, given) << seed;
    }
}

TEST_F(RoundTrip, EachLineIsJsonToOthersToo) {
    RandomHost host(99);
    auto out = recorder({"\xff"});
    ASSERT_TRUE(out->started());
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(out->add(0, host.next()));
    ASSERT_TRUE(out->finish());
    std::istringstream lines(text());
    std::string line;
    int count = 0;
    for (; std::getline(lines, line); ++count) EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    EXPECT_EQ(count, 103);
}

/// Names are written when a domain appears, and its number serves another once it is gone.
TEST_F(RoundTrip, ALongRunOfShortLivesDoesNotGrow) {
    auto out = recorder();
    ASSERT_TRUE(out->started());
    Sample sample;
    sample.domains.resize(3);
    for (uint64_t i = 0; i < 1000; ++i) {
        for (uint64_t d = 0; d < 3; ++d)
            sample.domains[d].usage = {"name", "uuid-" + std::to_string(i + d), i + d, {{1000, 1000}}, {}};
        ASSERT_TRUE(out->add(0, sample));
    }
    ASSERT_TRUE(out->finish());
    std::string last = text();
    last.resize(last.rfind("{\"mark\""));
    last = last.substr(last.rfind("{\"host\""));
    auto line = nlohmann::json::parse(last);
    EXPECT_EQ(line["domains"].size(), 1U);
    for (const auto& number : line["running"]) EXPECT_LT(number.get<int>(), 8);
    EXPECT_EQ(read_all(path()).samples.back(), sample);
}

}  // namespace
}  // namespace virt_power::test
