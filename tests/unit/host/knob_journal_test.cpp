// SPDX-License-Identifier: LGPL-2.1-or-later
#include "knob_journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "knob_kernel.hpp"
#include "small_file.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

const std::string boot = "5e9b1b2c-0c4e-4f0e-9a53-000000000001";
const std::vector<Knob> all_knobs = {Knob::Governor, Knob::Frequency, Knob::EnergyPreference,
                                     Knob::HostFrequency, Knob::RaplLimit};

class Journal : public testing::Test {
protected:
    KnobJournal open(const std::string& boot_id = boot) {
        return KnobJournal(directory_, boot_id,
                           [this](std::string_view warning) { warnings_.emplace_back(warning); });
    }
    [[nodiscard]] std::string text() const { return *read_small_file(file_, max_knob_journal_size); }

    FakeRoot root_;
    std::filesystem::path directory_ = root_.path() / "lib/host-power";
    std::filesystem::path file_ = directory_ / "host-power-knobs.json";
    std::vector<std::string> warnings_;
    const KnobRecord governor_{Knob::Governor, "cpu0", "scaling_governor", "ondemand"};
    const KnobRecord limit_{Knob::RaplLimit, "intel-rapl/package-0", "constraint_0_power_limit_uw",
                            "26000000"};
};

TEST_F(Journal, starts_empty_and_writes_nothing) {
    EXPECT_THAT(open().records(all_knobs), IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(file_));
    EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(Journal, keeps_what_stood_first_across_a_restart) {
    {
        KnobJournal journal = open();
        EXPECT_THAT(journal.record({governor_, limit_}), ElementsAre(governor_, limit_));
        KnobRecord later = governor_;
        later.value = "performance";
        EXPECT_THAT(journal.record({later}), IsEmpty());
    }
    KnobJournal again = open();
    EXPECT_THAT(again.records(all_knobs), UnorderedElementsAre(governor_, limit_));
    EXPECT_THAT(again.records({Knob::RaplLimit}), ElementsAre(limit_));
    EXPECT_EQ(again.find("cpu0", "scaling_governor"), governor_);
    EXPECT_EQ(again.find("cpu0", "scaling_max_freq"), std::nullopt);
    EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(Journal, removes_what_a_daemon_that_was_killed_had_begun) {
    root_.file("lib/host-power/.host-power-knobs.json.a1B2c3", "{");
    root_.file("lib/host-power/other", "kept");
    (void)open();
    EXPECT_FALSE(std::filesystem::exists(directory_ / ".host-power-knobs.json.a1B2c3"));
    EXPECT_TRUE(std::filesystem::exists(directory_ / "other"));
}

TEST_F(Journal, is_its_owners_alone) {
    (void)open().record({governor_});
    struct stat status {};
    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
}

TEST_F(Journal, forgets_across_a_restart) {
    (void)open().record({governor_, limit_});
    open().forget({governor_});
    EXPECT_THAT(open().records(all_knobs), ElementsAre(limit_));
}

TEST_F(Journal, of_another_boot_is_void_and_nothing_is_told_of_it) {
    (void)open().record({governor_});
    EXPECT_THAT(open("another-boot").records(all_knobs), IsEmpty());
    EXPECT_THAT(open("").records(all_knobs), IsEmpty());
    EXPECT_THAT(warnings_, IsEmpty());
    (void)open("another-boot").record({limit_});
    EXPECT_THAT(open("another-boot").records(all_knobs), ElementsAre(limit_));
    EXPECT_THAT(open().records(all_knobs), IsEmpty());
}

TEST_F(Journal, without_a_boot_id_serves_this_daemon_only) {
    for (const std::string& id : {std::string(), std::string("bad\nid"), std::string(500, 'x')}) {
        KnobJournal journal = open(id);
        (void)journal.record({governor_});
        EXPECT_THAT(journal.records(all_knobs), ElementsAre(governor_));
        EXPECT_THAT(open(id).records(all_knobs), IsEmpty());
    }
}

TEST_F(Journal, a_file_that_is_cut_off_is_told_of_once_at_every_length) {
    (void)open().record({governor_, limit_});
    const std::string whole = text();
    for (size_t size = 0; size < whole.rfind('}'); size++) {
        ASSERT_TRUE(replace_file(file_, whole.substr(0, size)));
        warnings_.clear();
        EXPECT_THAT(open().records(all_knobs), IsEmpty()) << size;
        EXPECT_THAT(warnings_, ElementsAre(HasSubstr("host-power-knobs.json is cut off"))) << size;
    }
    ASSERT_TRUE(replace_file(file_, whole));
    EXPECT_THAT(open().records(all_knobs), testing::SizeIs(2));
}

TEST_F(Journal, a_foreign_file_is_told_of_once_and_replaced_at_the_next_record) {
    const std::string head = R"({"format":"virt-power-knobs","version":1,"boot_id":")" + boot + R"(",)";
    for (const std::string& foreign :
         {std::string("hello"), std::string("[]"), std::string("null"), std::string("{}"),
          std::string(2000, '['), std::string("\0\xff\xfe", 3),
          std::string(R"({"format":1,"version":1,"boot_id":"b","records":[]})"),
          std::string(R"({"format":"virt-power-knobs","version":2,"boot_id":"b","records":[]})"),
          std::string(R"({"format":"virt-power-knobs","version":1,"boot_id":7,"records":[]})"),
          head + R"("records":{}})", head + R"("records":[7]})",
          head + R"("records":[["governor","cpu0","f"]]})",
          head + R"("records":[["governor","cpu0","f",7]]})",
          head + R"("records":[["nonsense","cpu0","f","v"]]})",
          head + R"("records":[["governor","","f","v"]]})",
          head + R"("records":[["governor","cpu0","f","a\nb"]]})",
          head + R"("records":[["governor","cpu0","f","a"],["governor","cpu0","f","b"]]})"}) {
        std::filesystem::create_directories(directory_);
        ASSERT_TRUE(replace_file(file_, foreign));
        warnings_.clear();
        KnobJournal journal = open();
        EXPECT_THAT(journal.records(all_knobs), IsEmpty()) << foreign;
        EXPECT_THAT(warnings_, testing::SizeIs(1)) << foreign;
        (void)journal.record({governor_});
        EXPECT_THAT(open().records(all_knobs), ElementsAre(governor_));
    }
}

TEST_F(Journal, what_is_no_file_or_too_long_is_told_of_once) {
    std::filesystem::create_directories(file_);
    EXPECT_THAT(open().records(all_knobs), IsEmpty());
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("is not a file")));
    std::filesystem::remove(file_);
    ASSERT_TRUE(replace_file(file_, std::string(max_knob_journal_size + 1, ' ')));
    EXPECT_THAT(open().records(all_knobs), IsEmpty());
    EXPECT_THAT(warnings_.back(), HasSubstr("longer than"));
}

TEST_F(Journal, what_cannot_be_written_down_is_an_error_and_not_kept) {
    root_.file("lib", "a file where the directory should be");
    KnobJournal journal = open();
    KnobError error = error_of([&] { (void)journal.record({governor_}); });
    EXPECT_EQ(error.kind(), KnobErrorKind::Failed);
    EXPECT_THAT(error.what(), HasSubstr("host-power-knobs.json"));
    EXPECT_THAT(error.what(), HasSubstr("nothing was changed"));
    EXPECT_THAT(journal.records(all_knobs), IsEmpty());
    root_.remove("lib");
    EXPECT_THAT(journal.record({governor_}), ElementsAre(governor_));
}

TEST_F(Journal, a_value_that_could_not_be_read_again_is_not_taken) {
    KnobJournal journal = open();
    for (const char* value : {"", "a\nb", "\xff"})
        EXPECT_EQ(error_of([&] {
                      (void)journal.record({{Knob::Governor, "cpu0", "scaling_governor", value}});
                  }).kind(),
                  KnobErrorKind::Failed);
    EXPECT_THAT(journal.records(all_knobs), IsEmpty());
}

TEST_F(Journal, what_cannot_be_forgotten_on_the_disk_is_told_of) {
    KnobJournal journal = open();
    (void)journal.record({governor_});
    std::filesystem::remove_all(directory_);
    root_.file("lib/host-power", "in the way");
    journal.forget({governor_});
    EXPECT_THAT(journal.records(all_knobs), IsEmpty());
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("after a restart")));
}

TEST_F(Journal, names_in_the_file_that_look_like_paths_stay_names) {
    JournalContent content{boot, {{Knob::Governor, "../../etc", "../passwd", "x"}}};
    std::optional<JournalContent> parsed = parse_knob_journal(knob_journal_text(content));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->records, content.records);
}

TEST_F(Journal, reads_the_boots_id) {
    EXPECT_EQ(read_boot_id(root_.path()), "");
    root_.file("proc/sys/kernel/random/boot_id", boot + "\n");
    EXPECT_EQ(read_boot_id(root_.path()), boot);
}

}  // namespace
}  // namespace virt_power
