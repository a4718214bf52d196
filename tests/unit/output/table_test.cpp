// SPDX-License-Identifier: LGPL-2.1-or-later
// The table as text: what it is fitted to, and what can pose as what in it.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "intervals.hpp"
#include "table_text.hpp"
#include "utf8.hpp"
#include "virt-power/sinks.hpp"

namespace virt_power::test {
namespace {

struct Shown {
    std::vector<std::string> head, domains, others;
};

Shown shown(const std::vector<Interval>& intervals, std::optional<size_t> width = {}, bool hosts = false,
            bool terminal = true) {
    Selection selection({});
    TableText text = Table(intervals, selection.take(intervals), hosts, terminal).lay_out(width);
    Shown result{{}, text.domains, text.others};
    for (const HeadLine& line : text.head) result.head.push_back(line.text);
    return result;
}

/// The row of a domain of this name, without the figures.
std::string name_shown(const std::string& name, RowKind kind = RowKind::Domain) {
    Interval one = interval();
    one.rows = {row(kind, name, 1'000'000, 0.1, 0.1)};
    std::string line = shown({one}).domains.at(0);
    line = line.substr(0, line.find("0.50"));
    return line.substr(0, line.find_last_not_of(' ') + 1);
}

TEST(Names, CannotPoseAsARowBelowTheDomains) {
    EXPECT_EQ(name_shown("(static power)"), "\\(static power)");
    EXPECT_EQ(name_shown("(VMs that you may not see)"), "\\(VMs that you may not see)");
    EXPECT_EQ(name_shown("(rest of the host)", RowKind::Departed), "\\(rest of the host) (ended)");
    EXPECT_EQ(name_shown("\\(static power)"), "\\\\(static power)");
    EXPECT_EQ(name_shown("  (static power)"), "\\x20\\x20\\(static power)");
    EXPECT_EQ(name_shown("web (old)"), "web (old)");
}

TEST(Names, CannotPoseAsEnded) {
    EXPECT_EQ(name_shown("web", RowKind::Departed), "web (ended)");
    EXPECT_EQ(name_shown("web (ended)"), "web \\(ended)");
    EXPECT_EQ(name_shown("web (ended)", RowKind::Departed), "web \\(ended) (ended)");
    EXPECT_EQ(name_shown("web (ended) "), "web (ended)\\x20");
    EXPECT_EQ(name_shown(" (ended)"), "\\x20\\(ended)");
    EXPECT_EQ(name_shown("(ended)"), "\\(ended)");
}

TEST(Names, CannotHoldWhatLooksLikeColumns) {
    EXPECT_EQ(name_shown("web   99.00  x y"), "web \\x20\\x2099.00 \\x20x y");
    EXPECT_EQ(name_shown("   "), "\\x20\\x20\\x20");
}

TEST(Head, BeginsWithWhatMattersMost) {
    Interval one = interval();
    one.uri = "qemu:///system?socket=/run/a/very/long/way/to/a/socket";
    Shown text = shown({one}, 80);
    EXPECT_EQ(text.head[0], "kvm1  total 10.00 W  2.000 s  22:13:22Z  host-share  qemu:///system");
    EXPECT_EQ(text.head[1], "  package-0 10.00 W");
    EXPECT_EQ(shown({one}, {}, false, false).head[0],
              "kvm1  total 10.00 W  2.000 s  2023-11-14T22:13:22Z  host-share  qemu:///system");
}

TEST(Head, ALabelAndTheWholeUriTellHostsOfOneNameApart) {
    Interval one = interval();
    one.uri = "qemu:///system?socket=/run/b";
    one.host_label = "kvm1#2";
    one.zones[0].source = "modelled";
    Shown text = shown({one}, {}, true);
    EXPECT_EQ(text.head[0],
              "kvm1#2  total 10.00 W  2.000 s  22:13:22Z  host-share  qemu:///system?socket=/run/b");
    EXPECT_EQ(text.head[2], "kvm1#2: energy is modelled, not measured");
    EXPECT_EQ(text.domains[0].substr(0, 13), "kvm1#2  large");
}

TEST(Head, DefaultWeightsAreLabelled) {
    Interval one = interval();
    one.weighed = true;
    one.weights_measured = false;
    EXPECT_EQ(shown({one}).head[2],
              "shared cores weigh by default: it was not measured here (virt-power calibrate --load)");
    one.weights_measured = true;
    EXPECT_EQ(shown({one}).head[2].find("weigh"), std::string::npos);
}

TEST(Head, ZonesAreWrapped) {
    Interval many = interval();
    many.zones.clear();
    for (int i = 0; i < 8; ++i)
        many.zones.push_back({"package-" + std::to_string(i), "package", i, "powercap", true, 20'000'000});
    Shown narrow = shown({many}, 60);
    EXPECT_EQ(narrow.head[1], "  package-0 10.00 W  package-1 10.00 W  package-2 10.00 W");
    EXPECT_EQ(narrow.head[2], "  package-3 10.00 W  package-4 10.00 W  package-5 10.00 W");
    EXPECT_EQ(narrow.head[3], "  package-6 10.00 W  package-7 10.00 W");
    EXPECT_EQ(shown({many}).head.size(), 3U);
}

/// The line of the zones, without its indent.
std::string zones_shown(const Interval& one) {
    Shown text = shown({one});
    return text.head.size() > 2 ? text.head[1].substr(2) : "none";
}

TEST(Head, LimitAndFrequencyStandBesideTheWatts) {
    Interval one = interval();
    one.packages = {{0, 2'400'000}, {1, {}}};
    EXPECT_EQ(zones_shown(one), "package-0 10.00 W, 2.40 GHz");
    one.zones[0].limit_uw = 65'000'000;
    EXPECT_EQ(zones_shown(one), "package-0 10.00 W, limit 65 W, 2.40 GHz");
    one.packages.clear();
    one.zones.push_back({"package-0/dram", "dram", 0, "powercap", true, 3'000'000, 12'500'000});
    EXPECT_EQ(zones_shown(one), "package-0 10.00 W, limit 65 W  package-0/dram 1.50 W, limit 12.5 W");
}

TEST(Head, ALimitIsShownAsItWasSet) {
    auto limit = [](uint64_t limit_uw) {
        Interval one = interval();
        one.zones[0].limit_uw = limit_uw;
        return zones_shown(one).substr(std::string("package-0 10.00 W, limit ").size());
    };
    EXPECT_EQ(limit(100'000'000), "100 W");
    EXPECT_EQ(limit(18'125'000), "18.125 W");
    EXPECT_EQ(limit(1), "0.000001 W");
    EXPECT_EQ(limit(std::numeric_limits<uint64_t>::max()), "18446744073709.551615 W");
}

/// Not beside one of the package's dies, nor beside a zone that is not shown.
TEST(Head, AFrequencyWithoutAZoneOfItsOwnStandsAlone) {
    Interval dies = interval();
    dies.zones = {{"package-0-die-0", "package", 0, "powercap", true, 20'000'000},
                  {"package-0-die-1", "package", 0, "powercap", true, 10'000'000}};
    dies.packages = {{4, 1'000'000}};
    EXPECT_EQ(zones_shown(dies),
              "package-0-die-0 10.00 W  package-0-die-1 5.00 W  CPUs of package 4: 1.00 GHz");
    Interval part = interval();
    part.zones[2].limit_uw = 5;
    part.packages = {{0, {}}, {1, 800'000}};
    EXPECT_EQ(zones_shown(part), "package-0 10.00 W  CPUs of package 1: 0.80 GHz");
    Interval none = interval();
    none.zones.clear();
    none.packages = {{0, 800'000}};
    EXPECT_EQ(zones_shown(none), "CPUs of package 0: 0.80 GHz");
}

TEST(Head, AHostsNameLeavesRoomForTheTotal) {
    Interval one = interval(std::string(200, 'h'));
    EXPECT_EQ(shown({one}, 60).head[0].substr(0, 36), std::string(19, 'h') + "~  total 10.00 W ");
}

TEST(Columns, ALongNameIsCutNotTheFigures) {
    Interval one = interval();
    one.rows[1].name = std::string(200, 'x');
    one.rows[2].name = std::string(200, 'y');
    Shown text = shown({one}, 80);
    ASSERT_EQ(text.domains.size(), 3U);
    EXPECT_EQ(text.domains[0],
              "xxxxxxxxxxxxxxxxxxxxxxx~    5.50          11.00     55.0  50.0  cycles  powercap");
    EXPECT_EQ(text.domains[2],
              "yyyyyyyyyyyyyyy~ (ended)    0.50           1.00      5.0   0.0  cycles  powercap");
    for (const std::string& line : text.others) EXPECT_LE(line.size(), 80U) << line;
    EXPECT_EQ(shown({one}).domains[0].substr(0, 208), std::string(200, 'x') + "        ");
}

TEST(Columns, TheLastOnesGoBeforeTheNameDoes) {
    Interval one = interval();
    one.rows[1].name = std::string(200, 'x');
    Shown text = shown({one}, 60);
    EXPECT_EQ(text.head.back(), "NAME                    W+IDLE  J SINCE START  ENERGY%  CPU%");
    EXPECT_EQ(text.domains[0], "xxxxxxxxxxxxxxxxxxxxx~    5.50          11.00     55.0  50.0");
    // Short names leave room for all.
    EXPECT_NE(shown({interval()}, 80).head.back().find("SOURCE"), std::string::npos);
}

TEST(Columns, HelpersHaveOneWhereSomeRowHasThem) {
    Interval one = interval();
    EXPECT_EQ(shown({one}).head.back().find("HELPER"), std::string::npos);
    one.weighed = true;
    one.rows[1].helper_energy_uj = 3'000'000;
    Shown text = shown({one}, 100);
    EXPECT_EQ(text.head.back(),
              "NAME                W+IDLE  J SINCE START  ENERGY%  CPU%  HELPER W  BASIS           SOURCE");
    EXPECT_EQ(text.domains[0],
              "large                 5.50          11.00     55.0  50.0      1.50  weighed cycles  powercap");
    EXPECT_EQ(text.domains[1],
              "small                 2.00           4.00     20.0  12.5         -  weighed cycles  powercap");
    // It is the last to go before the name is cut.
    one.rows[1].name = std::string(200, 'x');
    EXPECT_EQ(shown({one}, 70).head.back(),
              "NAME                    W+IDLE  J SINCE START  ENERGY%  CPU%  HELPER W");
    EXPECT_EQ(shown({one}, 60).head.back(), "NAME                    W+IDLE  J SINCE START  ENERGY%  CPU%");
    for (size_t width = 0; width < 120; ++width)
        for (bool hosts : {false, true}) EXPECT_EQ(shown({one}, width, hosts).domains.size(), 3U);
}

TEST(Columns, HostAndNameShareWhatThereIs) {
    Interval one = interval(std::string(100, 'h'));
    one.rows[1].name = std::string(200, 'x');
    Shown text = shown({one}, 100, true);
    EXPECT_EQ(text.domains[0], std::string(13, 'h') + "~  " + std::string(27, 'x') +
                                   "~    5.50          11.00     55.0  50.0  cycles  powercap");
    for (const std::string& line : text.domains) EXPECT_LE(display_width(line), 100U);
    // A short name leaves the rest to the host.
    one.rows = {row(RowKind::Domain, "web", 1, 0.1, 0.1)};
    EXPECT_EQ(shown({one}, 100, true).domains[0].substr(0, 44), std::string(37, 'h') + "~  web ");
}

TEST(Columns, NoWidthIsTooSmall) {
    Interval one = interval(std::string(100, 'h'));
    one.rows[1].name = std::string(200, 'x');
    for (size_t width = 0; width < 120; ++width)
        for (bool hosts : {false, true}) EXPECT_EQ(shown({one}, width, hosts).domains.size(), 3U);
}

TEST(Header, OverHostsThatDifferTheHostSaysThatIdleIsIncluded) {
    Interval with = interval("a"), without = interval("b");
    without.idle_included = false;
    auto has = [](const Shown& text, const std::string& wanted) {
        for (const std::string& line : text.head)
            if (line.find(wanted) != std::string::npos) return true;
        return false;
    };
    Shown mixed = shown({with, without}, {}, true);
    EXPECT_EQ(mixed.head.back().find("W+IDLE"), std::string::npos);
    EXPECT_TRUE(has(mixed, "a: W+IDLE: idle power is inside its watts"));
    EXPECT_FALSE(has(mixed, "b: W+IDLE"));
    Shown both = shown({with, with}, {}, true);
    EXPECT_NE(both.head.back().find("W+IDLE"), std::string::npos);
    EXPECT_FALSE(has(both, "idle power"));
    EXPECT_FALSE(has(shown({without, without}, {}, true), "IDLE"));
    // A host without energy has no figure that the header could be wrong about.
    Interval none = interval("c");
    none.zones.clear();
    EXPECT_NE(shown({with, none}, {}, true).head.back().find("W+IDLE"), std::string::npos);
}

}  // namespace
}  // namespace virt_power::test
