// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "recordings.hpp"

namespace virt_power::test {
namespace {

namespace fs = std::filesystem;

class RecorderTest : public RecordingTest {
protected:
    Result<std::unique_ptr<Recorder>> create(const std::string& file, bool overwrite) {
        return Recorder::create(file, {"a test", {}, {""}}, {overwrite, -1});
    }
};

TEST_F(RecorderTest, IsReadableByItsOwnerAlone) {
    mode_t before = umask(0);
    auto out = recorder();
    umask(before);
    ASSERT_TRUE(out->started());
    EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(RecorderTest, LeavesNothingIfTheRunDidNotStart) {
    auto out = recorder();
    EXPECT_TRUE(fs::exists(path()));
    ASSERT_TRUE(out->add(0, Error{ErrorKind::Gone, 0, "no"}));
    out.reset();
    EXPECT_FALSE(fs::exists(path()));
}

TEST_F(RecorderTest, RefusesAFileThatExists) {
    write("mine");
    auto made = create(path(), false);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().error_number, EEXIST);
    EXPECT_EQ(made.error().message, path() + ": the file exists, and would be replaced");
    EXPECT_EQ(text(), "mine");
}

TEST_F(RecorderTest, ReplacesAFileOnlyOnceTheRunStarted) {
    write("mine");
    chmod(path().c_str(), 0666);
    auto out = recorder({""}, true);
    ASSERT_TRUE(out->add(0, Sample{}));
    EXPECT_EQ(text(), "mine");
    int reader = open(path().c_str(), O_RDONLY);  // NOLINT: has no mode
    ASSERT_TRUE(out->started());
    EXPECT_EQ(text().find("{\"format\""), 0U);
    EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    char old[5] = {};
    EXPECT_EQ(read(reader, old, 4), 4);
    EXPECT_STREQ(old, "mine");
    close(reader);
}

TEST_F(RecorderTest, LeavesAFileToBeReplacedAloneIfTheRunDidNotStart) {
    write("mine");
    recorder({""}, true).reset();
    EXPECT_EQ(text(), "mine");
}

TEST_F(RecorderTest, ReplacesRegularFilesAlone) {
    fs::create_directory(path("dir"));
    write("mine");
    fs::create_symlink(path(), path("link"));
    for (const std::string& file : {path("dir"), path("link"), std::string("/dev/null")}) {
        auto made = create(file, true);
        ASSERT_FALSE(made) << file;
        EXPECT_EQ(made.error().message,
                  file + ": exists and is no regular file; a recording needs a file of its own");
    }
    EXPECT_EQ(text(), "mine");
}

TEST_F(RecorderTest, NamesAFileThatCannotBeMade) {
    auto made = create(path("no/such/directory"), false);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message, path("no/such/directory") + ": cannot create: No such file or directory");
}

TEST_F(RecorderTest, WritesEachLineAtOnce) {
    auto out = recorder();
    ASSERT_TRUE(out->started());
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(out->add(0, Sample{}));
        EXPECT_EQ(read_all(path()).samples.size(), static_cast<size_t>(i) + 1);
    }
}

TEST_F(RecorderTest, WithoutAnEndTheRecordingSaysSo) {
    auto out = recorder();
    ASSERT_TRUE(out->started());
    ASSERT_TRUE(out->tick());
    out.reset();
    Steps read = read_all(path());
    EXPECT_EQ(read.steps, (std::vector{RecordedStep::Started, RecordedStep::Tick}));
    EXPECT_EQ(read.kind, ErrorKind::Gone);
    EXPECT_EQ(
        read.problem,
        path() + ": line 4: cut off (the end mark is missing: the recording was not ended, or goes on)");
}

/// As a full disk: part of a line is written, the rest is refused.
TEST_F(RecorderTest, APartOfALineIsTakenBackWhenTheDiskIsFull) {
    Sample sample;
    sample.host = std::string(300, 'x');
    auto out = recorder();
    ASSERT_TRUE(out->started());
    ASSERT_TRUE(out->tick());
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    rlimit small{fs::file_size(path()) + 100, before.rlim_max};
    auto handler = std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    Status added = out->add(0, sample);
    Status again = out->tick();
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().message,
              path() + ": cannot write: File too large; the recording ends after line 3, tick 1");
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().message, added.error().message);
    EXPECT_FALSE(out->finish());
    Steps read = read_all(path());
    EXPECT_EQ(read.steps, (std::vector{RecordedStep::Started, RecordedStep::Tick}));
    EXPECT_EQ(text().back(), '\n');
}

TEST_F(RecorderTest, ALineThatCouldNotBeReadAgainIsNotWritten) {
    auto out = recorder();
    ASSERT_TRUE(out->started());
    Sample sample;
    sample.host = std::string(17 << 20, 'x');
    Status added = out->add(0, sample);
    ASSERT_FALSE(added);
    EXPECT_NE(added.error().message.find("too long"), std::string::npos);
    sample = {};
    sample.domains.resize(100'001);
    EXPECT_FALSE(recorder({""}, true)->add(0, sample));
}

TEST_F(RecorderTest, TheSourceOfARecordingGivesOneHost) {
    auto out = recorder({"a", "b"});
    Sample sample;
    sample.host = "first";
    ASSERT_TRUE(out->add(0, sample));
    ASSERT_TRUE(out->started());
    ASSERT_TRUE(out->add(1, Error{ErrorKind::Gone, 5, "away"}));
    sample.host = "second";
    ASSERT_TRUE(out->add(1, sample));
    ASSERT_TRUE(out->tick());
    ASSERT_TRUE(out->finish());
    auto source = make_recording_source(path(), 1);
    ASSERT_TRUE(source);
    EXPECT_EQ((*source)->sample().error().message, "away");
    EXPECT_EQ((*source)->sample()->host, "second");
    for (int i = 0; i < 2; ++i) {
        Result<Sample> end = (*source)->sample();
        ASSERT_FALSE(end);
        EXPECT_EQ(end.error().kind, ErrorKind::Gone);
        EXPECT_EQ(end.error().message, path() + ": the recording ends here");
    }
    EXPECT_EQ(make_recording_source(path(), 2).error().message, path() + ": there is no host 2");
    EXPECT_FALSE(make_recording_source(path("none")));
}

}  // namespace
}  // namespace virt_power::test
