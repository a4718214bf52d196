// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reading_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace virt_power {
namespace {

using testing::HasSubstr;

/// A reading in which every field has a value of its own.
HostReading full_reading() {
    HostReading host;
    host.epoch = 1001;
    host.time_ns = 1002;
    host.usage_source = UsageSource::Bpf;
    host.cycles_gaps = 3;
    host.interval_ns = 1003;
    host.vm_count = 4;
    host.weighing = Weighing{601, 602, 603, true};
    host.packages = {{0, {11, 12, 16}, {13, 14, 17}, 15, 18, 19}, {7, {21, 22, 25}, {23, 24, 26}}};
    host.zones = {{"package-0", "package", 0, "powercap", true, 31, 1, 34, 35},
                  {"package-7/dram", "dram", 1, "powercap", false, std::nullopt, 0},
                  {"psys", "psys", std::nullopt, "powercap", false, 33, 0}};
    host.departed_totals = {{41, 42, 45}, {43, 44, 46}};
    host.departed = {{"web",
                      "5f0c0e0a-0000-4000-8000-000000000001",
                      51,
                      {{52, 53, 56}, {54, 55, 57}},
                      std::nullopt,
                      {{81, std::nullopt, 82}, {83, std::nullopt, 84}}}};
    return host;
}

DomainUsage full_domain() {
    return {"",
            "",
            61,
            {{62, 63, 66}, {64, 65, 67}},
            UsageSource::Proc,
            {{71, std::nullopt, 72}, {73, std::nullopt, 74}}};
}

std::vector<Param> encode(const HostReading* host, const DomainUsage* domain) {
    std::vector<Param> params;
    ParamSink sink = [&](std::string_view name, const ParamValue& value) {
        params.push_back({std::string(name), value});
        return true;
    };
    EXPECT_TRUE(!host || encode_host(*host, sink));
    EXPECT_TRUE(!domain || encode_domain(*domain, sink));
    return params;
}

Param* find(std::vector<Param>& params, const std::string& name) {
    auto found = std::find_if(params.begin(), params.end(), [&](const Param& p) { return p.name == name; });
    return found == params.end() ? nullptr : &*found;
}

std::string error_of(const std::vector<Param>& params) {
    Result<DecodedRecord> record = decode_record(params);
    return record ? "none" : record.error().message;
}

TEST(ReadingCodec, gives_back_what_was_encoded) {
    HostReading host = full_reading();
    DomainUsage domain = full_domain();
    Result<DecodedRecord> record = decode_record(encode(&host, &domain));
    ASSERT_TRUE(record);
    EXPECT_EQ(record->host, host);
    EXPECT_EQ(record->domain, domain);
}

TEST(ReadingCodec, leaves_absent_what_is_not_known) {
    HostReading host = full_reading();
    host.cycles_gaps.reset();
    host.interval_ns.reset();
    host.packages[0].host.cycles.reset();
    std::vector<Param> params = encode(&host, nullptr);
    EXPECT_EQ(find(params, "energy.host.cycles.gaps"), nullptr);
    EXPECT_EQ(find(params, "energy.package.0.host.cycles"), nullptr);
    EXPECT_EQ(find(params, "energy.zone.1.energy"), nullptr);
    EXPECT_EQ(find(params, "energy.zone.1.static"), nullptr);
    EXPECT_EQ(find(params, "energy.zone.1.limit"), nullptr);
    EXPECT_EQ(find(params, "energy.package.1.frequency"), nullptr);
    Result<DecodedRecord> record = decode_record(params);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->host, host);
    EXPECT_FALSE(record->domain);
}

TEST(ReadingCodec, a_record_of_one_domain_has_at_most_a_dozen_figures) {
    DomainUsage domain = full_domain();
    domain.usage_source.reset();  // one that is counted from /proc has no weights and no helpers
    EXPECT_LE(encode(nullptr, &domain).size() + 1, 12U);
}

TEST(ReadingCodec, names_fit_into_a_typed_parameter) {
    HostReading host = full_reading();
    host.departed.resize(256, host.departed[0]);
    for (const Param& param : encode(&host, nullptr)) EXPECT_LT(param.name.size(), 80U);
}

TEST(ReadingCodec, stops_when_the_receiver_says_so) {
    int calls = 0;
    EXPECT_FALSE(
        encode_host(full_reading(), [&](std::string_view, const ParamValue&) { return ++calls < 3; }));
    EXPECT_EQ(calls, 3);
}

TEST(ReadingCodec, a_status_alone_is_a_record) {
    Result<DecodedRecord> record =
        decode_record({{"energy.status", std::string("denied")}, {"state.state", 1}});
    ASSERT_TRUE(record);
    EXPECT_EQ(record->status, "denied");
    EXPECT_FALSE(record->host);
    EXPECT_FALSE(record->domain);
}

TEST(ReadingCodec, passes_over_names_of_later_versions) {
    HostReading host = full_reading();
    std::vector<Param> params = encode(&host, nullptr);
    for (const char* name : {"energy.gpu.0.energy", "energy.package.0.voltage", "energy.zone.0.limits",
                             "energy.host.x.y.z", "energy.package.all.time", "energy", "energy."})
        params.push_back({name, uint64_t{1}});
    Result<DecodedRecord> record = decode_record(params);
    ASSERT_TRUE(record) << record.error().message;
    EXPECT_EQ(record->host, host);
}

TEST(ReadingCodec, names_what_is_malformed) {
    HostReading host = full_reading();
    struct Case {
        const char* name;
        ParamValue value;
        const char* message;
    };
    for (const Case& bad : std::vector<Case>{
             {"energy.host.time", std::string("x"), "energy.host.time: unexpected type"},
             {"energy.host.usage", std::string("x"), "energy.host.usage: unknown value"},
             {"energy.zone.0.static", std::string("12 W"), "energy.zone.0.static: unexpected type"},
             {"energy.zone.0.limit", int64_t{5}, "energy.zone.0.limit: unexpected type"},
             {"energy.package.0.frequency", uint32_t{5}, "energy.package.0.frequency: unexpected type"},
             {"energy.package.count", uint32_t{5}, "energy.package.count is 5, but 2 are there"},
             {"energy.zone.0.package", uint32_t{2}, "energy.zone.0.package: there is no package 2"}}) {
        std::vector<Param> params = encode(&host, nullptr);
        find(params, bad.name)->value = bad.value;
        EXPECT_THAT(error_of(params), HasSubstr(bad.message)) << bad.name;
    }
}

TEST(ReadingCodec, names_what_is_missing) {
    HostReading host = full_reading();
    for (const char* name :
         {"energy.host.epoch", "energy.host.time", "energy.host.usage", "energy.package.count",
          "energy.zone.count", "energy.departed.count", "energy.package.1.id"}) {
        std::vector<Param> params = encode(&host, nullptr);
        params.erase(params.begin() + (find(params, name) - params.data()));
        EXPECT_THAT(error_of(params), HasSubstr(std::string(name) + " is missing"));
    }
}

TEST(ReadingCodec, refuses_an_index_that_would_cost_memory) {
    EXPECT_THAT(error_of({{"energy.package.4000000000.time", uint64_t{1}}}), HasSubstr("index"));
    EXPECT_THAT(error_of({{"energy.zone.99999999.energy", uint64_t{1}}}), HasSubstr("index"));
}

/// The first index is N, the second M.
std::string with_letters(std::string_view name) {
    std::string result;
    char letter = 'N';
    for (size_t n = 0; n < name.size(); n++) {
        if (name[n] < '0' || name[n] > '9')
            result += name[n];
        else if (result.back() == '.')
            result += letter--;
    }
    return result;
}

/// Every name that is emitted is in the manual and the other way round, with its type.
TEST(MetricDocs, are_what_is_emitted) {
    HostReading host = full_reading();
    DomainUsage domain = full_domain();
    const std::vector<std::string> types = {"int", "uint", "llong", "ullong", "double", "boolean", "string"};
    std::set<std::string> emitted = {"energy.status string"};
    for (const Param& param : encode(&host, &domain)) {
        emitted.insert(with_letters(param.name) + " " + types[param.value.index()]);
    }
    std::set<std::string> documented;
    for (const MetricDoc& doc : metric_docs()) {
        documented.insert(std::string(doc.name) + " " + std::string(doc.type));
        EXPECT_FALSE(doc.text.empty());
    }
    EXPECT_EQ(emitted, documented);
}

}  // namespace
}  // namespace virt_power
