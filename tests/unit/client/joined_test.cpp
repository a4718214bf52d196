// SPDX-License-Identifier: LGPL-2.1-or-later
// Another program that joins source, attribution and sink. It includes the
// public headers alone and links the shared library alone.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include <virt-power/pipeline.hpp>
#include <virt-power/sinks.hpp>

namespace {

using namespace virt_power;  // NOLINT: as a small program would

/// A source of one's own: a recording of two readings.
class Recording : public Source {
public:
    Result<Sample> sample() override {
        if (next_ == 2) return Error{ErrorKind::Gone, 0, "the recording is over"};
        Sample sample;
        sample.host = "recorded";
        sample.status = EnergyStatus::Ok;
        sample.host_cpus = 2;
        HostReading& reading = sample.reading.emplace();
        reading.epoch = 1;
        reading.time_ns = 1'000'000'000 * (next_ + 1);
        reading.packages.push_back({0, {next_ * 800'000'000, {}}, {next_ * 600'000'000, {}}});
        reading.zones.push_back({"package-0", "package", 0, "powercap", true, next_ * 4'000'000, 0});
        sample.domains.push_back({{"vm", "uuid", 1, {{next_ * 600'000'000, {}}}, {}}, {}});
        ++next_;
        return sample;
    }

private:
    uint64_t next_ = 0;
};

/// A sink of one's own.
class Sum : public Sink {
public:
    Status write(const std::vector<Interval>& intervals) override {
        for (const Interval& interval : intervals)
            for (const Row& row : interval.rows)
                if (row.kind == RowKind::Domain) energy_uj += row.energy_uj.value_or(0);
        return ok();
    }
    uint64_t energy_uj = 0;
};

TEST(Joined, ASourceOfOnesOwnFeedsASinkOfOnesOwn) {
    Recording source;
    Attributor attributor(AttributionOptions{});
    Sum sum;
    for (Result<Sample> sample = source.sample(); sample; sample = source.sample()) {
        Attributed attributed = attributor.add(*sample);
        if (!attributed.interval) continue;
        ASSERT_TRUE(sum.write({*attributed.interval}));
    }
    EXPECT_EQ(sum.energy_uj, 3'000'000U);
}

TEST(Joined, ARealLibvirtSourceFeedsARealSink) {
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe(ends.data()), 0);
    LibvirtOptions options;
    options.uri = "test:///default";
    std::unique_ptr<Source> source = make_libvirt_source(options);
    Attributor attributor(AttributionOptions{});
    std::unique_ptr<Sink> sink = make_json_sink(ends[1], {});
    for (int i = 0; i < 2; ++i) {
        Result<Sample> sample = source->sample();
        ASSERT_TRUE(sample) << sample.error().message;
        std::optional<Interval> interval = attributor.add(*sample).interval;
        if (!interval) continue;
        ASSERT_TRUE(sink->write({*interval}));
    }
    std::array<char, 4096> buffer{};
    ssize_t size = read(ends[0], buffer.data(), buffer.size());
    close(ends[0]);
    close(ends[1]);
    ASSERT_GT(size, 0);
    std::string text(buffer.data(), static_cast<size_t>(size));
    EXPECT_NE(text.find("\"uri\":\"test:///default\""), std::string::npos);
    EXPECT_NE(text.find("\"status\":\"no-group\""), std::string::npos);
}

}  // namespace
