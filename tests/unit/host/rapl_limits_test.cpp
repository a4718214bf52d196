// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rapl_limits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>

#include "knob_kernel.hpp"

namespace virt_power {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

using Names = std::vector<std::string>;

class Rapl : public testing::Test {
protected:
    /// As intel_rapl shows it: the zone lies among the devices, and has a link.
    void zone(const std::string& directory, const std::string& name, int constraints) {
        root_.file(devices + directory + "/name", name + "\n");
        root_.link(base + directory, devices + directory);
        kernel_.put(directory + "/enabled", "1");
        const std::vector<std::string> names = {"long_term", "short_term", "peak_power"};
        const std::vector<std::string> limits = {"26000000", "36000000", "60000000"};
        for (int n = 0; n < constraints; n++) {
            auto at = static_cast<size_t>(n);
            std::string prefix = directory + "/constraint_" + std::to_string(n) + "_";
            kernel_.put(prefix + "name", names[at]);
            kernel_.put(prefix + "power_limit_uw", limits[at]);
            if (n == 2) continue;  // it has no window
            kernel_.put(prefix + "time_window_us", n == 0 ? "999424" : "2440");
            kernel_.put(prefix + "max_power_uw", n == 0 ? "28000000" : "0");
        }
    }
    /// Two packages with DRAM, limits in the MSR and in MMIO for the first, and psys.
    void server() {
        zone("intel-rapl:0", "package-0", 3);
        zone("intel-rapl:0:0", "dram", 1);
        zone("intel-rapl:1", "package-1", 2);
        zone("intel-rapl:2", "psys", 2);
        zone("intel-rapl-mmio:0", "package-0", 2);
        root_.file(base + "intel-rapl/enabled", "1\n");
    }
    /// In steps of 1/8 W, as hardware does.
    void play_steps(const std::string& file) {
        kernel_.rounds(file, [](const std::string& value) {
            uint64_t uw = 0;
            std::from_chars(value.data(), value.data() + value.size(), uw);
            return std::to_string(uw / 125000 * 125000);
        });
    }

    [[nodiscard]] RaplLimits limits() { return {root_.path(), *journal_, warn_, kernel_.writer()}; }
    [[nodiscard]] RaplZone find(const std::string& name) {
        for (const RaplZone& zone : limits().zones())
            if (zone.name == name) return zone;
        ADD_FAILURE() << name;
        return {};
    }
    static RaplRequest power(uint64_t uw) { return {uw, {}, {}, {}}; }
    template <typename... Each>
    static ZoneSelection only(Each... names) {
        return std::vector<std::string>{names...};
    }

    void expect_refused(KnobErrorKind kind, const std::string& words, const ZoneSelection& selection,
                        const RaplRequest& request) {
        size_t before = kernel_.writes.size();
        KnobError error = error_of([&] { (void)limits().set(selection, request); });
        EXPECT_EQ(error.kind(), kind) << error.what();
        EXPECT_THAT(error.what(), HasSubstr(words));
        EXPECT_EQ(kernel_.writes.size(), before);
        EXPECT_THAT(journal_->records({Knob::RaplLimit}), IsEmpty());
    }
    void restart() { journal_.emplace(root_.path() / "state", "boot-1", warn_); }

    const std::string base = "sys/class/powercap/";
    const std::string devices = "sys/devices/virtual/powercap/";
    const std::string msr = "intel-rapl:0/constraint_0_power_limit_uw";
    const std::string mmio = "intel-rapl-mmio:0/constraint_0_power_limit_uw";
    const std::string other = "intel-rapl:1/constraint_0_power_limit_uw";
    FakeRoot root_;
    KnobKernel kernel_{root_, "sys/class/powercap/"};
    std::vector<std::string> warnings_;
    KnobWarn warn_ = [this](std::string_view warning) { warnings_.emplace_back(warning); };
    std::optional<KnobJournal> journal_{std::in_place, root_.path() / "state", "boot-1", warn_};
};

TEST_F(Rapl, shows_every_zone_under_the_name_that_the_stats_have) {
    server();
    std::vector<std::string> names;
    for (const RaplZone& zone : limits().zones()) names.push_back(zone.name);
    EXPECT_THAT(names,
                ElementsAre("package-0", "intel-rapl-mmio/package-0", "package-0/dram", "package-1", "psys"));
    RaplZone package = find("package-0");
    EXPECT_EQ(package.enabled, true);
    EXPECT_EQ(package.also_selected_by, "");
    ASSERT_THAT(package.constraints, SizeIs(3));
    EXPECT_EQ(package.constraints[0].name, "long_term");
    EXPECT_EQ(package.constraints[0].power_limit_uw, 26000000U);
    EXPECT_EQ(package.constraints[0].time_window_us, 999424U);
    EXPECT_EQ(package.constraints[0].max_power_uw, 28000000U);
    EXPECT_EQ(package.constraints[2].index, 2U);
    EXPECT_EQ(package.constraints[2].name, "peak_power");
    EXPECT_EQ(package.constraints[2].time_window_us, std::nullopt);
    EXPECT_EQ(package.constraints[2].max_power_uw, std::nullopt);
    EXPECT_EQ(find("intel-rapl-mmio/package-0").also_selected_by, "package-0");
    EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(Rapl, a_host_without_it_has_no_zone_and_says_so_when_one_is_set) {
    EXPECT_THAT(limits().zones(), IsEmpty());
    expect_refused(KnobErrorKind::Unsupported, "this host has no RAPL zones", {}, power(18000000));
}

TEST_F(Rapl, other_control_types_and_broken_zones_are_left_out) {
    zone("dtpm:0", "soc", 1);
    zone("intel-rapl:0", "package-0", 2);
    root_.file(base + "intel-rapl:1/enabled", "1\n");  // it has no name
    EXPECT_THAT(limits().zones(), SizeIs(1));
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("intel-rapl:1/name")));
}

TEST_F(Rapl, what_cannot_be_read_is_absent) {
    zone("intel-rapl:0", "package-0", 2);
    kernel_.put("intel-rapl:0/constraint_0_power_limit_uw", "-1");
    root_.remove(devices + "intel-rapl:0/constraint_1_name");
    root_.remove(devices + "intel-rapl:0/enabled");
    RaplZone zone = find("package-0");
    EXPECT_EQ(zone.enabled, std::nullopt);
    EXPECT_EQ(zone.constraints.at(0).power_limit_uw, std::nullopt);
    EXPECT_EQ(zone.constraints.at(1).name, "");
    expect_refused(KnobErrorKind::Unsupported, "zone package-0 has no enabled", only("package-0"),
                   {{}, {}, true, {}});
    kernel_.refuses("intel-rapl:0/constraint_1_power_limit_uw", EIO);
    EXPECT_THAT(error_of([&] {
                    (void)limits().set({}, {30000000, {}, {}, "1"});
                }).what(),
                StartsWith("zone package-0, constraint 1: "));
}

TEST_F(Rapl, a_package_is_set_in_the_msr_and_in_mmio) {
    server();
    play_steps(msr);
    std::vector<KnobChange> changes = limits().set(only("package-0"), power(18200000));
    ASSERT_THAT(changes, SizeIs(2));
    EXPECT_EQ(changes[0].subject, "zone package-0, constraint long_term");
    EXPECT_EQ(changes[1].subject, "zone intel-rapl-mmio/package-0, constraint long_term");
    EXPECT_EQ(changes[0].file, "constraint_0_power_limit_uw");
    EXPECT_EQ(changes[0].before, "26000000");
    EXPECT_EQ(changes[0].asked, "18200000");
    EXPECT_EQ(changes[0].after, "18125000");
    EXPECT_EQ(kernel_.read(msr), "18125000");
    EXPECT_EQ(kernel_.read(mmio), "18200000");
    EXPECT_EQ(kernel_.read(other), "26000000");
}

TEST_F(Rapl, a_limit_that_the_hardware_makes_0_of_is_refused_and_put_back) {
    server();
    play_steps(msr);
    KnobError error = error_of([&] { (void)limits().set(only("package-0"), power(124999)); });
    EXPECT_EQ(error.kind(), KnobErrorKind::InvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("makes 0 of it"));
    EXPECT_EQ(kernel_.read(msr), "26000000");
}

TEST_F(Rapl, mmio_can_be_set_alone_by_its_own_name) {
    server();
    EXPECT_THAT(limits().set(only("intel-rapl-mmio/package-0"), power(18000000)), SizeIs(1));
    EXPECT_EQ(kernel_.read(msr), "26000000");
}

TEST_F(Rapl, without_a_selection_all_packages_and_nothing_else) {
    server();
    EXPECT_THAT(limits().set({}, power(18000000)), SizeIs(3));
    EXPECT_EQ(kernel_.read("intel-rapl:0:0/constraint_0_power_limit_uw"), "26000000");
    EXPECT_EQ(kernel_.read("intel-rapl:2/constraint_0_power_limit_uw"), "26000000");
}

TEST_F(Rapl, subzones_and_several_zones_by_name) {
    server();
    EXPECT_THAT(limits().set(only("package-0/dram", "package-1", "package-1"), power(18000000)), SizeIs(2));
    EXPECT_EQ(kernel_.read("intel-rapl:0:0/constraint_0_power_limit_uw"), "18000000");
    EXPECT_EQ(kernel_.read(other), "18000000");
    EXPECT_EQ(kernel_.read(msr), "26000000");
}

TEST_F(Rapl, a_constraint_by_name_or_index_where_the_zone_has_it) {
    server();
    EXPECT_THAT(limits().set(only("package-0"), {30000000, 5000, {}, "short_term"}), SizeIs(4));
    EXPECT_EQ(kernel_.read("intel-rapl:0/constraint_1_power_limit_uw"), "30000000");
    EXPECT_EQ(kernel_.read("intel-rapl-mmio:0/constraint_1_time_window_us"), "5000");
    EXPECT_THAT(limits().set(only("package-0"), {{}, 5000, {}, "0"}), SizeIs(2));
    EXPECT_EQ(kernel_.read("intel-rapl:0/constraint_0_time_window_us"), "5000");
    EXPECT_THAT(limits().set(only("package-0"), {50000000, {}, {}, "peak_power"}), SizeIs(1))
        << "MMIO has none";
}

TEST_F(Rapl, the_switch_comes_after_the_limit) {
    server();
    (void)limits().set(only("package-1"), {18000000, {}, true, {}});
    EXPECT_THAT(kernel_.writes,
                ElementsAre("intel-rapl:1/constraint_0_power_limit_uw=18000000", "intel-rapl:1/enabled=1"));
    EXPECT_EQ(limits().set(only("package-1"), {{}, {}, false, {}}).at(0).subject, "zone package-1");
    EXPECT_EQ(find("package-1").enabled, false);
}

TEST_F(Rapl, names_that_are_no_zones_are_refused_with_those_that_are) {
    server();
    for (const char* name : {"package-7", "", "../", "../../../etc/passwd", "intel-rapl:0", "dram",
                             "PACKAGE-0", "package-0/", "package-0/../package-1", "/sys", "*"})
        expect_refused(KnobErrorKind::InvalidArgument,
                       "there are: package-0, intel-rapl-mmio/package-0, package-0/dram, package-1, psys",
                       only(name), power(18000000));
    expect_refused(KnobErrorKind::InvalidArgument, "there is no zone 'package-7'",
                   only("package-0", "package-7"), power(18000000));
    expect_refused(KnobErrorKind::InvalidArgument, "the list of zones is empty", Names{}, power(18000000));
}

TEST_F(Rapl, constraints_that_are_none_are_refused_with_those_that_are) {
    server();
    for (const char* name : {"7", "-1", "", "Long_Term", "../0", "00"})
        expect_refused(KnobErrorKind::InvalidArgument, "there are: 0 (long_term), 1 (short_term)",
                       only("package-1"), {18000000, {}, {}, name});
    expect_refused(KnobErrorKind::InvalidArgument, "has no constraint '7'; there are", only("package-0"),
                   {18000000, {}, {}, "7"});
}

TEST_F(Rapl, limits_that_cannot_be_are_refused) {
    server();
    expect_refused(KnobErrorKind::InvalidArgument, "nothing to set", {}, {});
    expect_refused(KnobErrorKind::InvalidArgument, "nothing to set", {}, {{}, {}, {}, "long_term"});
    expect_refused(KnobErrorKind::InvalidArgument, "a power limit of 0", {}, power(0));
    expect_refused(KnobErrorKind::InvalidArgument, "a time window of 0", {}, {{}, 0, {}, {}});
    expect_refused(
        KnobErrorKind::InvalidArgument,
        "zone package-1, constraint long_term: 28.000001 W is above the highest power that it takes, "
        "28 W",
        only("package-1"), power(28000001));
    expect_refused(KnobErrorKind::InvalidArgument, "18446744073709.551615 W is above", {}, power(UINT64_MAX));
    expect_refused(KnobErrorKind::InvalidArgument, "4095.875001 W is above", only("package-1"),
                   {4095875001, {}, {}, "short_term"});
    expect_refused(KnobErrorKind::InvalidArgument, "is above the longest time window", only("package-1"),
                   {{}, UINT64_MAX, {}, {}});
    expect_refused(KnobErrorKind::InvalidArgument, "one switch for a whole zone", only("package-1"),
                   {{}, {}, true, "long_term"});
    expect_refused(KnobErrorKind::Unsupported, "zone package-0, constraint peak_power has no time window",
                   only("package-0"), {{}, 1000, {}, "peak_power"});
    EXPECT_THAT(limits().set(only("package-1"), power(28000000)), SizeIs(1)) << "the highest itself";
    EXPECT_THAT(limits().set(only("package-1"), {4000000000, {}, {}, "1"}), SizeIs(1))
        << "no highest is known";
}

TEST_F(Rapl, zones_without_limits_say_so) {
    zone("intel-rapl:0", "package-0", 0);  // as AMD's
    expect_refused(KnobErrorKind::Unsupported, "zone package-0 has no power limits", {}, power(18000000));
    zone("intel-rapl:1", "psys", 1);
    root_.remove(base + "intel-rapl:0");
    expect_refused(KnobErrorKind::Unsupported, "no zone of a package; there are: psys", {}, power(18000000));
}

TEST_F(Rapl, limits_that_the_firmware_locked_are_told_and_the_others_put_back) {
    server();
    for (int error_number : {EACCES, EPERM, EIO, ENODATA, EOPNOTSUPP}) {
        kernel_.refuses(other, error_number);
        KnobError error = error_of([&] { (void)limits().set({}, power(18000000)); });
        EXPECT_EQ(error.kind(), KnobErrorKind::OperationInvalid) << error_number;
        EXPECT_THAT(
            error.what(),
            AllOf(
                StartsWith("zone package-1, constraint long_term: cannot set constraint_0_power_limit_uw to "
                           "18000000: it is locked by firmware ("),
                HasSubstr("what was changed is put back")));
        EXPECT_EQ(kernel_.read(msr), "26000000");
        EXPECT_EQ(kernel_.read(mmio), "26000000");
        EXPECT_THAT(journal_->records({Knob::RaplLimit}), IsEmpty());
    }
    kernel_.refuses("intel-rapl:1/enabled", ENOSYS);
    EXPECT_THAT(error_of([&] {
                    (void)limits().set(only("package-1"), {{}, {}, false, {}});
                }).what(),
                HasSubstr("locked by firmware"));
}

TEST_F(Rapl, a_write_that_changes_nothing_means_locked_too) {
    server();
    for (const std::string& file : {msr, std::string("intel-rapl:0/constraint_0_time_window_us"),
                                    std::string("intel-rapl:0/enabled")}) {
        std::string stands = kernel_.read(file);
        kernel_.rounds(file, [stands](const std::string&) { return stands; });
    }
    for (const RaplRequest& request :
         {power(18000000), RaplRequest{{}, 5000, {}, {}}, RaplRequest{{}, {}, false, {}}}) {
        KnobError error = error_of([&] { (void)limits().set(only("package-0"), request); });
        EXPECT_EQ(error.kind(), KnobErrorKind::OperationInvalid);
        EXPECT_THAT(error.what(), HasSubstr("locked by firmware"));
        EXPECT_EQ(kernel_.read(mmio), "26000000");
    }
}

TEST_F(Rapl, a_write_that_was_rounded_to_what_stands_does_not) {
    server();
    play_steps(other);
    EXPECT_EQ(limits().set(only("package-1"), power(26100000)).at(0).after, "26000000");
    EXPECT_EQ(limits().set(only("package-1"), power(26000000)).at(0).after, "26000000");
    kernel_.rounds("intel-rapl:1/constraint_0_time_window_us", [](const std::string&) { return "999424"; });
    EXPECT_EQ(limits().set(only("package-1"), {{}, 1200000, {}, {}}).at(0).after, "999424");
}

TEST_F(Rapl, other_refusals_are_the_kernels) {
    server();
    kernel_.refuses(other, EINVAL);
    KnobError error = error_of([&] { (void)limits().set(only("package-1"), power(18000000)); });
    EXPECT_EQ(error.kind(), KnobErrorKind::Failed);
    EXPECT_STREQ(
        error.what(),
        "zone package-1, constraint long_term: cannot set constraint_0_power_limit_uw to 18000000: Invalid "
        "argument; nothing was changed");
}

TEST_F(Rapl, a_zone_that_vanishes_in_between_puts_the_others_back) {
    server();
    kernel_.after_write([this](const std::string& file) {
        if (file == msr) root_.remove(devices + "intel-rapl:1");
    });
    KnobError error = error_of([&] { (void)limits().set({}, power(18000000)); });
    EXPECT_EQ(error.kind(), KnobErrorKind::Failed);
    EXPECT_THAT(error.what(), AllOf(StartsWith("zone package-1"), HasSubstr("No such file or directory")));
    EXPECT_EQ(kernel_.read(msr), "26000000");
    EXPECT_EQ(kernel_.read(mmio), "26000000");
}

TEST_F(Rapl, what_cannot_be_put_back_is_said) {
    server();
    kernel_.refuses(other, EINVAL);
    kernel_.refuses(mmio, EIO, 1);
    EXPECT_THAT(
        error_of([&] { (void)limits().set({}, power(18000000)); }).what(),
        HasSubstr("; zone intel-rapl-mmio/package-0, constraint long_term: constraint_0_power_limit_uw could "
                  "not be put back to 26000000: it is locked by firmware"));
    EXPECT_EQ(kernel_.read(msr), "26000000");
    EXPECT_THAT(journal_->records({Knob::RaplLimit}), SizeIs(3));
}

TEST_F(Rapl, restores_what_stood_first_after_a_restart) {
    server();
    (void)limits().set(only("package-0"), {18000000, 5000, {}, {}});
    (void)limits().set(only("package-0"), {{}, {}, false, {}});
    restart();
    (void)limits().set({}, power(20000000));
    EXPECT_THAT(limits().restore(only("package-0")).restored, SizeIs(6));
    EXPECT_EQ(kernel_.read(msr), "26000000");
    EXPECT_EQ(kernel_.read("intel-rapl:0/constraint_0_time_window_us"), "999424");
    EXPECT_EQ(kernel_.read("intel-rapl:0/enabled"), "1");
    EXPECT_EQ(kernel_.read(other), "20000000");
    KnobRestore rest = limits().restore({});
    ASSERT_THAT(rest.restored, SizeIs(1));
    EXPECT_EQ(rest.restored[0].before, "20000000");
    EXPECT_EQ(rest.restored[0].after, "26000000");
    EXPECT_THAT(limits().restore({}).restored, IsEmpty());
    EXPECT_THAT(journal_->records({Knob::RaplLimit}), IsEmpty());
}

/// A firmware's limit may be above what it calls the highest.
TEST_F(Rapl, restores_a_limit_that_could_not_be_set) {
    server();
    kernel_.put(other, "64000000");
    (void)limits().set(only("package-1"), power(18000000));
    EXPECT_THAT(limits().restore({}).failures, IsEmpty());
    EXPECT_EQ(kernel_.read(other), "64000000");
}

TEST_F(Rapl, restores_to_the_zone_of_that_name_wherever_it_is_now) {
    server();
    kernel_.put(other, "22000000");
    (void)limits().set(only("package-1"), power(18000000));
    // Both packages went, and the second one came back first.
    root_.remove(base);
    root_.remove(devices);
    zone("intel-rapl:0", "package-1", 2);
    KnobRestore result = limits().restore({});
    EXPECT_THAT(result.failures, IsEmpty());
    EXPECT_EQ(kernel_.read(msr), "22000000");
}

TEST_F(Rapl, a_zone_that_is_gone_is_restored_when_it_is_back) {
    server();
    (void)limits().set(only("package-0", "package-1"), power(18000000));
    root_.remove(base + "intel-rapl:1");
    kernel_.refuses(mmio, EIO);
    KnobRestore result = limits().restore({});
    EXPECT_THAT(result.restored, SizeIs(1));
    ASSERT_THAT(result.failures, SizeIs(2));
    EXPECT_THAT(result.failures[0].what(), HasSubstr("intel-rapl/package-1 is not there"));
    EXPECT_THAT(result.failures[1].what(), HasSubstr("locked by firmware"));
    EXPECT_EQ(result.failures[1].kind(), KnobErrorKind::OperationInvalid);
    kernel_.takes(mmio);
    root_.link(base + "intel-rapl:1", devices + "intel-rapl:1");
    EXPECT_THAT(limits().restore({}).restored, SizeIs(2));
}

TEST_F(Rapl, what_a_file_says_of_other_places_is_never_written_to) {
    server();
    (void)journal_->record({{Knob::RaplLimit, "../../../secret", "constraint_0_power_limit_uw", "1"},
                            {Knob::RaplLimit, "intel-rapl/package-0", "../../../secret", "1"}});
    EXPECT_THAT(limits().restore({}).restored, IsEmpty());
    EXPECT_THAT(kernel_.writes, IsEmpty());
}

}  // namespace
}  // namespace virt_power
