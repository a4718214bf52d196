// SPDX-License-Identifier: LGPL-2.1-or-later
#include "virt-power/sinks.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "intervals.hpp"

namespace virt_power::test {
namespace {

using Json = nlohmann::ordered_json;

std::string written(Sink& sink, Catcher& catcher, const std::vector<Interval>& intervals) {
    EXPECT_TRUE(sink.write(intervals));
    return catcher.take();
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

std::vector<std::string> keys_of(const Json& json) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : json.items()) keys.push_back(key);
    return keys;
}

std::vector<std::string> names_of(const Json& json) {
    std::vector<std::string> names;
    for (const Json& row : json["rows"]) names.push_back(row.value("name", ""));
    return names;
}

TEST(JsonSink, HasTheDocumentedKeysAndNoOther) {
    Catcher catcher;
    Json json = Json::parse(written(*make_json_sink(catcher.fd(), {}), catcher, {interval()}));
    EXPECT_EQ(keys_of(json),
              (std::vector<std::string>{"host", "uri", "start", "end", "duration_ns", "basis", "weighed",
                                        "model", "static", "idle", "zones", "rows"}));
    EXPECT_EQ(json["start"], "2023-11-14T22:13:20.345Z");
    EXPECT_EQ(json["end"], "2023-11-14T22:13:22.345Z");
    EXPECT_EQ(json["duration_ns"], 2'000'000'000U);
    EXPECT_EQ(json["basis"], "cycles");
    EXPECT_EQ(json["weighed"], false);
    EXPECT_EQ(json["model"], "host-share");
    EXPECT_EQ(json["static"], "separate");
    EXPECT_EQ(json["idle"], "included");
    EXPECT_EQ(keys_of(json["zones"][0]),
              (std::vector<std::string>{"name", "type", "package", "source", "counted", "energy_uj"}));
    EXPECT_EQ(json["zones"][2].count("energy_uj"), 0U);
    EXPECT_EQ(json["zones"][2]["counted"], false);
    const Json& large = json["rows"][0];
    EXPECT_EQ(keys_of(large),
              (std::vector<std::string>{"kind", "name", "uuid", "instance", "energy_uj", "power_w",
                                        "energy_share", "cpu_share", "cpu_time_ns", "zones"}));
    EXPECT_EQ(large["kind"], "domain");
    EXPECT_EQ(large["power_w"], 5.5);
    EXPECT_EQ(large["zones"][0], Json::parse(R"({"zone":"package-0","energy_uj":11000000})"));
    EXPECT_EQ(json["rows"][3]["kind"], "host");
    EXPECT_EQ(json["rows"][3].count("name"), 0U);
}

TEST(JsonSink, HasLimitsAndFrequenciesWhereTheyAreKnown) {
    Interval one = interval();
    one.zones[2].limit_uw = 65'000'000;
    one.packages = {{0, {}}, {7, 2'400'000}};
    Catcher catcher;
    Json json = Json::parse(written(*make_json_sink(catcher.fd(), {}), catcher, {one}));
    EXPECT_EQ(json["zones"][0].count("limit_uw"), 0U);
    EXPECT_EQ(json["zones"][2]["limit_uw"], 65'000'000);
    EXPECT_EQ(json["packages"], Json::parse(R"([{"id":0},{"id":7,"frequency_khz":2400000}])"));
}

TEST(JsonSink, TellsMeasuredWeightsFromDefaultOnes) {
    for (bool measured : {true, false}) {
        Interval one = interval();
        one.weighed = true;
        one.weights_measured = measured;
        Catcher catcher;
        Json json = Json::parse(written(*make_json_sink(catcher.fd(), {}), catcher, {one}));
        EXPECT_EQ(json["weights"], measured ? "measured" : "default");
    }
}

TEST(JsonSink, HasTheHelpersPartOfARowWhereItIsKnown) {
    Interval one = interval();
    one.weighed = true;
    one.rows[1].helper_time_ns = 5;
    one.rows[1].helper_energy_uj = 0;
    one.rows[2].helper_time_ns = 7;
    Catcher catcher;
    Json json = Json::parse(written(*make_json_sink(catcher.fd(), {}), catcher, {one}));
    EXPECT_EQ(json["weighed"], true);
    EXPECT_EQ(json.count("weights"), 0U);
    EXPECT_EQ(json["rows"][0]["helper_energy_uj"], 0U);
    EXPECT_EQ(json["rows"][0]["helper_cpu_time_ns"], 5U);
    EXPECT_EQ(json["rows"][1].count("helper_cpu_time_ns"), 0U);
    EXPECT_EQ(json["rows"][2].count("helper_energy_uj"), 0U);
    EXPECT_EQ(json["rows"][2]["helper_cpu_time_ns"], 7U);
}

TEST(JsonSink, SaysWhyThereIsNoEnergy) {
    Interval without = interval();
    without.status = EnergyStatus::NoPlugin;
    without.reason = "no plugin";
    without.basis.reset();
    without.zones.clear();
    for (Row& row : without.rows) {
        row.energy_uj.reset();
        row.energy_share.reset();
        row.zones.clear();
    }
    Catcher catcher;
    Json json = Json::parse(written(*make_json_sink(catcher.fd(), {}), catcher, {without}));
    EXPECT_EQ(json["status"], "no-plugin");
    EXPECT_EQ(json["reason"], "no plugin");
    for (const char* key : {"basis", "static", "idle"}) EXPECT_EQ(json.count(key), 0U) << key;
    for (const Json& row : json["rows"]) {
        EXPECT_EQ(row.count("energy_uj"), 0U);
        EXPECT_EQ(row.count("power_w"), 0U);
        EXPECT_EQ(row.count("zones"), 0U);
    }
}

TEST(JsonSink, OneLinePerInterval) {
    Catcher catcher;
    EXPECT_EQ(
        lines_of(written(*make_json_sink(catcher.fd(), {}), catcher, {interval("a"), interval("b")})).size(),
        2U);
}

TEST(JsonSink, RowsAreSortedAndFiltered) {
    auto names = [](const SinkOptions& options) {
        Catcher catcher;
        return names_of(Json::parse(written(*make_json_sink(catcher.fd(), options), catcher, {interval()})));
    };
    using Names = std::vector<std::string>;
    EXPECT_EQ(names({}), (Names{"large", "small", "gone", ""}));
    EXPECT_EQ(names({SortKey::Name, {}, -1}), (Names{"gone", "large", "small", ""}));
    EXPECT_EQ(names({SortKey::Cpu, {}, -1}), (Names{"large", "small", "gone", ""}));
    EXPECT_EQ(names({SortKey::Watts, {"small", "nope"}, -1}), (Names{"small"}));
    EXPECT_EQ(names({SortKey::Watts, {"00000000-0000-0000-0000-000000000016"}, -1}), (Names{"gone"}));
    EXPECT_EQ(names({SortKey::Watts, {"00000000000000000000000000000016"}, -1}), (Names{"gone"}));
}

TEST(Domains, AreMeantByNameOrUuidAndNothingElseIs) {
    Row large = interval().rows[1], host = interval().rows[3];
    EXPECT_TRUE(means_domain("large", large));
    EXPECT_TRUE(means_domain(large.uuid, large));
    EXPECT_FALSE(means_domain("Large", large));
    EXPECT_FALSE(means_domain("", host));
    large.kind = RowKind::Departed;
    EXPECT_TRUE(means_domain("large", large));
}

TEST(JsonSink, FilteringLeavesTheSharesAlone) {
    Catcher catcher;
    Json json = Json::parse(
        written(*make_json_sink(catcher.fd(), {SortKey::Watts, {"small"}, -1}), catcher, {interval()}));
    EXPECT_EQ(json["rows"][0]["energy_share"], 0.2);
    EXPECT_EQ(json["zones"][0]["energy_uj"], 20'000'000U);
}

TEST(CsvSink, HeaderOnceAndAsManyCells) {
    Catcher catcher;
    std::unique_ptr<Sink> sink = make_csv_sink(catcher.fd(), {});
    std::vector<std::string> lines = lines_of(written(*sink, catcher, {interval()}));
    ASSERT_EQ(lines.size(), 5U);
    for (const std::string& line : lines) EXPECT_EQ(std::count(line.begin(), line.end(), ','), 23) << line;
    EXPECT_EQ(
        lines[1],
        "2023-11-14T22:13:20.345Z,2023-11-14T22:13:22.345Z,2000000000,kvm1,qemu+tls://kvm1/system,ok,cycles,"
        "host-share,separate,included,powercap,domain,large,00000000-0000-0000-0000-000000000021,21,11000000,"
        "5.5,0.55,0.5,4000000000,,,,false");
    EXPECT_EQ(lines_of(written(*sink, catcher, {interval()})).size(), 4U);
}

TEST(CsvSink, SaysWhatIsWeighedAndTheHelpersPart) {
    auto ends_of = [](const Interval& one) {
        Catcher catcher;
        std::string line = lines_of(written(*make_csv_sink(catcher.fd(), {}), catcher, {one})).at(1);
        return line.substr(line.find("4000000000,"));
    };
    Interval one = interval();
    one.weighed = true;
    one.rows[1].helper_time_ns = 5;
    one.rows[1].helper_energy_uj = 6;
    EXPECT_EQ(ends_of(one), "4000000000,,6,5,true");
    one.basis.reset();
    one.weighed = false;
    EXPECT_EQ(ends_of(one), "4000000000,,6,5,");
}

TEST(TableSink, PlainTextHasNoEscapes) {
    Catcher catcher;
    std::string text = written(*make_table_sink(catcher.fd(), {}), catcher, {interval()});
    EXPECT_EQ(text,
              "kvm1  total 10.00 W  2.000 s  2023-11-14T22:13:22Z  host-share  qemu+tls://kvm1/system\n"
              "  package-0 10.00 W\n"
              "NAME                W+IDLE  J SINCE START  ENERGY%  CPU%  BASIS   SOURCE\n"
              "large                 5.50          11.00     55.0  50.0  cycles  powercap\n"
              "small                 2.00           4.00     20.0  12.5  cycles  powercap\n"
              "gone (ended)          0.50           1.00      5.0   0.0  cycles  powercap\n"
              "(rest of the host)    2.00           4.00     20.0  25.0  cycles  powercap\n");
}

TEST(TableSink, JoulesAddUpPerInstance) {
    Catcher catcher;
    std::unique_ptr<Sink> sink = make_table_sink(catcher.fd(), {});
    (void)written(*sink, catcher, {interval()});
    Interval next = interval();
    next.rows[0].energy_uj = 1;           // the same instance
    next.rows[1].instance = 99;           // started again
    next.rows[2].kind = RowKind::Domain;  // its life ended: another one
    std::string text = written(*sink, catcher, {next});
    EXPECT_NE(text.find("\nlarge                 5.50          11.00"), std::string::npos) << text;
    EXPECT_NE(text.find("\nsmall                 0.00           4.00"), std::string::npos) << text;
    EXPECT_NE(text.find("\ngone                  0.50           1.00"), std::string::npos) << text;
    EXPECT_NE(text.find("\n(rest of the host)    2.00           8.00"), std::string::npos) << text;
}

TEST(TableSink, JoulesOfHiddenRowsAreBookedToo) {
    Catcher catcher;
    std::unique_ptr<Sink> sink = make_json_sink(catcher.fd(), {SortKey::Energy, {}, -1});
    Interval first = interval();
    first.rows[0].energy_uj = 50'000'000;
    (void)written(*sink, catcher, {first});
    EXPECT_EQ(names_of(Json::parse(written(*sink, catcher, {interval()})))[0], "small");
}

TEST(TableSink, LabelsWhatIsNotMeasured) {
    Interval modelled = interval();
    modelled.zones[0].source = "modelled";
    Catcher catcher;
    std::string text = written(*make_table_sink(catcher.fd(), {}), catcher, {modelled});
    EXPECT_NE(text.find("\nenergy is modelled, not measured\n"), std::string::npos);
    modelled.zones[0].source = "simulated-powercap";
    text = written(*make_table_sink(catcher.fd(), {}), catcher, {modelled});
    EXPECT_NE(text.find("\nenergy is simulated, not measured\n"), std::string::npos);
    EXPECT_EQ(text.find("modelled"), std::string::npos);
    modelled.zones[0].source = "test";
    text = written(*make_table_sink(catcher.fd(), {}), catcher, {modelled});
    EXPECT_NE(text.find("\nenergy is made up by libvirt's test driver, not measured\n"), std::string::npos);
}

TEST(TableSink, SeparatedIdleIsPlainWatts) {
    Interval separated = interval();
    separated.idle_included = false;
    Catcher catcher;
    EXPECT_EQ(written(*make_table_sink(catcher.fd(), {}), catcher, {separated}).find("W+IDLE"),
              std::string::npos);
}

TEST(TableSink, SeveralHostsShareOneTable) {
    TableOptions options;
    options.host_column = true;
    Catcher catcher;
    std::vector<std::string> lines =
        lines_of(written(*make_table_sink(catcher.fd(), options), catcher, {interval("a"), interval("b")}));
    ASSERT_EQ(lines.size(), 13U);
    EXPECT_EQ(lines[4].substr(0, 10), "HOST  NAME");
    EXPECT_EQ(lines[5].substr(0, 11), "a     large");
    EXPECT_EQ(lines[6].substr(0, 11), "b     large");
    EXPECT_EQ(lines[12].substr(0, 7), "b     (");
}

TEST(TableSink, NamesCannotTouchTheTerminal) {
    Interval hostile = interval("ho\x1bst");
    hostile.rows[0].name = "a\nb\x1b[31m";
    Catcher catcher;
    std::string text = written(*make_table_sink(catcher.fd(), {}), catcher, {hostile});
    EXPECT_NE(text.find("a\\nb\\x1b[31m"), std::string::npos);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(lines_of(text).size(), 7U);
}

TEST(TerminalTable, DrawsInPlaceAndLeavesTheTerminalAsItWas) {
    Catcher catcher;
    TableOptions options;
    options.terminal = true;
    std::unique_ptr<Sink> sink = make_table_sink(catcher.fd(), options);
    std::string first = written(*sink, catcher, {interval()});
    EXPECT_TRUE(first.starts_with("\x1b[?1049h\x1b[?25l\x1b[H"));
    EXPECT_TRUE(first.ends_with("\x1b[J"));
    sink->notice("lost\x1b");
    std::string again = written(*sink, catcher, {});
    EXPECT_TRUE(again.starts_with("\x1b[H\x1b[2Klost\\x1b\r\n"));
    EXPECT_NE(again.find("large"), std::string::npos);
    sink.reset();
    std::string last = catcher.take();
    EXPECT_TRUE(last.starts_with("\x1b[?25h\x1b[?1049l"));
    EXPECT_NE(last.find("large"), std::string::npos);
}

TEST(TerminalTable, LeavesTheTerminalToOthersUntilTheNextWrite) {
    Catcher catcher;
    TableOptions options;
    options.terminal = true;
    std::unique_ptr<Sink> sink = make_table_sink(catcher.fd(), options);
    sink->suspend();
    EXPECT_EQ(catcher.take(), "");
    (void)written(*sink, catcher, {interval()});
    sink->suspend();
    EXPECT_EQ(catcher.take(), "\x1b[?25h\x1b[?1049l");
    sink->suspend();
    EXPECT_EQ(catcher.take(), "");
    std::string again = written(*sink, catcher, {});
    EXPECT_TRUE(again.starts_with("\x1b[?1049h\x1b[?25l\x1b[H"));
    EXPECT_NE(again.find("large"), std::string::npos);
}

TEST(TerminalTable, KeepsToTheHeightAndWidth) {
    Interval many = interval();
    for (int i = 0; i < 100; ++i)
        many.rows.push_back(row(RowKind::Domain, "vm" + std::string(200, 'x'), 1, 0, 0));
    Catcher catcher;
    TableOptions options;
    options.terminal = true;
    std::unique_ptr<Sink> sink = make_table_sink(catcher.fd(), options);
    // A pipe has no size: 24 lines of 80 columns.
    std::string text = written(*sink, catcher, {many});
    std::vector<std::string> lines = lines_of(text);
    EXPECT_EQ(lines.size(), 24U);
    EXPECT_NE(text.find("... and 84 more domains"), std::string::npos) << text;
    EXPECT_NE(lines.back().find("(rest of the host)"), std::string::npos);
    for (size_t i = 1; i < lines.size(); ++i) EXPECT_LE(lines[i].size(), 80U + 5U + 3U) << lines[i];
}

TEST(TerminalTable, ZonesGoBeforeDomainsDo) {
    Interval many = interval();
    many.zones.clear();
    for (uint32_t i = 0; i < 100; ++i)
        many.zones.push_back({"package-" + std::to_string(i), "package", i, "modelled", true, 20'000'000});
    Catcher catcher;
    TableOptions options;
    options.terminal = true;
    std::unique_ptr<Sink> sink = make_table_sink(catcher.fd(), options);
    std::string text = written(*sink, catcher, {many});
    EXPECT_EQ(lines_of(text).size(), 24U);
    for (const char* wanted :
         {"total ", "package-0 ", "modelled, not", "NAME", "large", "small", "gone", "(rest"})
        EXPECT_NE(text.find(wanted), std::string::npos) << wanted;
    EXPECT_EQ(text.find("package-99"), std::string::npos);
}

}  // namespace
}  // namespace virt_power::test
