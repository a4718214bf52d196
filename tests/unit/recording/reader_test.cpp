// SPDX-License-Identifier: LGPL-2.1-or-later
// What is no recording, or no longer one: the line and the reason.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "recordings.hpp"

namespace virt_power::test {
namespace {

const std::string header =
    R"({"format":"virt-power-recording","version":1,"program":"x","delay_ms":1,"hosts":[""]})"
    "\n";
const std::string about = R"("about":{"host":"h","uri":"u","cpus":1,"status":"ok","reason":""})";
const std::string started = R"({"mark":"started"})"
                            "\n";

/// The first sample of a host, with more keys.
std::string sample(const std::string& rest) { return R"({"host":0,"time":[1,2],)" + about + rest + "}"; }

class ReaderTest : public RecordingTest {
protected:
    /// What is said about the text, without the path.
    std::string problem(const std::string& text) {
        write(text);
        std::string said = read_all(path()).problem;
        EXPECT_EQ(said.find(path() + ": "), 0U) << said;
        return said.substr(std::min(said.size(), path().size() + 2));
    }
    /// Of one line after the header.
    std::string problem_of(const std::string& line) { return problem(header + line + "\n"); }

    int writer_ = -1;
};

TEST_F(ReaderTest, ForeignFilesAreNamedAsSuch) {
    const std::string foreign = "; this is no recording of virt-power";
    EXPECT_EQ(problem(""), "line 1: the file is empty");
    EXPECT_EQ(problem("\n"), "line 1: no JSON object" + foreign);
    EXPECT_EQ(problem("start,end\n1,2\n"), "line 1: no JSON object" + foreign);
    EXPECT_EQ(problem("\x89PNG\r\n\x1a\n"), "line 1: no JSON object" + foreign);
    EXPECT_EQ(problem(std::string(5000, '\0')), "line 1: binary data; no JSON object" + foreign);
    EXPECT_EQ(problem("{\"host\":\"kvm1\",\"rows\":[]}\n"),
              "line 1: 'host': a whole number of its kind should be here" + foreign);
    EXPECT_EQ(problem("{}\n"), "line 1: it has no 'host'" + foreign);
    EXPECT_EQ(problem("{\"format\":\"else\",\"version\":1}\n"),
              "line 1: it is no recording of virt-power" + foreign);
    EXPECT_EQ(problem(started), "line 1: no header" + foreign);
    EXPECT_EQ(problem(header.substr(0, 20)), "line 1: no JSON object" + foreign);
}

TEST_F(ReaderTest, ALaterVersionIsRefused) {
    EXPECT_EQ(problem(R"({"format":"virt-power-recording","version":2,"new":[1]})"
                      "\n"),
              "line 1: version 2 of the format; this virt-power reads up to version 1");
    EXPECT_EQ(read_all(path()).kind, ErrorKind::Unsupported);
    EXPECT_EQ(problem(R"({"format":"virt-power-recording","version":1})"
                      "\n"),
              "line 1: the header names no version or no hosts");
    EXPECT_EQ(problem(R"({"format":"virt-power-recording","version":0,"hosts":[""]})"
                      "\n"),
              "line 1: the header names no version or no hosts");
}

TEST_F(ReaderTest, KeysThatAreNotKnownAreLeftOut) {
    write(R"({"new":{"a":[1,null,"x"]},"format":"virt-power-recording","version":1,"hosts":[""]})"
          "\n"
          R"({"host":0,"later":[{}],"time":[1,2],)" +
          about + "}\n" + started +
          R"({"mark":"end","number":0,"x":1e5})"
          "\n");
    Steps read = read_all(path());
    EXPECT_EQ(read.problem, "");
    EXPECT_EQ(read.samples.size(), 1U);
}

TEST_F(ReaderTest, OrderOfKeysAndSpaceDoNotMatter) {
    write(header + R"( { "use" : [ [ 5 , null ] ] , "running":[0], "time":[1,2],)" + about +
          R"(,"domains":[[0,"n","u",1,null]],"host":0 } )"
          "\n" +
          started +
          R"({"number":0,"mark":"end"})"
          "\n");
    Steps read = read_all(path());
    EXPECT_EQ(read.problem, "");
    EXPECT_EQ(read.samples.at(0).domains.at(0).usage.packages.at(0), (Usage{5, std::nullopt}));
}

TEST_F(ReaderTest, EachLineIsCheckedAgainstWhatItNeeds) {
    const std::string domain = R"(,"domains":[[0,"n","u",1,null]],"running":[0])";
    const std::string reading = R"(,"reading":[1,2,"bpf",null,null,null])";
    EXPECT_EQ(problem_of(sample(domain)), "line 2: 'use' must have 1 elements");
    EXPECT_EQ(problem_of(sample(domain + R"(,"use":[[],[]])")), "line 2: 'use' must have 1 elements");
    EXPECT_EQ(problem_of(sample(domain + R"(,"use":[[]],"cpu_time":[])")),
              "line 2: 'cpu_time' must have as many elements as 'running'");
    EXPECT_EQ(problem_of(sample(R"(,"running":[0],"use":[[]])")), "line 2: no domain has the number 0");
    EXPECT_EQ(problem_of(sample(R"(,"domains":[[1,"n","u",1,null]])")),
              "line 2: domain number 1 leaves out 0");
    EXPECT_EQ(problem_of(sample(R"(,"zone_energy":[])")),
              "line 2: it has counters of the host, but no 'reading'");
    EXPECT_EQ(problem_of(sample(reading + R"(,"zones":[["a","b",0,"c",true,null]])")),
              "line 2: 'zone_energy' must have an element for each zone");
    EXPECT_EQ(
        problem_of(sample(
            reading + R"(,"zones":[["a","b",0,"c",true,null]],"zone_energy":[[1,0]],"zone_limit":[1,2])")),
        "line 2: 'zone_limit' must have an element for each zone");
    EXPECT_EQ(problem_of(sample(reading +
                                R"(,"packages":[0],"package_use":[[1,null,2,null]],"package_frequency":[])")),
              "line 2: 'package_frequency' must have an element for each package");
    EXPECT_EQ(problem_of(sample(R"(,"package_frequency":[1])")),
              "line 2: it has counters of the host, but no 'reading'");
    EXPECT_EQ(problem_of(sample(reading + R"(,"packages":[0])")),
              "line 2: 'package_use' must have 1 elements");
    EXPECT_EQ(problem_of(sample(reading + R"(,"packages":[0],"package_use":[[1,null]])")),
              "line 2: 'package_use' must have two usages for each package");
    EXPECT_EQ(problem_of(sample(reading + R"(,"packages":[0,1],"package_use":[[1,1],[1,1,1,1,1,1]])")),
              "line 2: 'package_use' must have two usages for each package");
    EXPECT_EQ(problem_of(sample(reading + domain + R"(,"use":[[]],"departed":[0])")),
              "line 2: 'departed_use' must have 1 elements");
    EXPECT_EQ(problem_of(R"({"host":0,"time":[1,2]})"),
              "line 2: the first sample of a host must have 'about'");
    EXPECT_EQ(problem_of(R"({"host":0,"time":[1,2],"about":{"host":"h"}})"),
              "line 2: 'about': it must have host, uri, cpus, status and reason");
    EXPECT_EQ(problem_of(R"({"host":1,"time":[1,2]})"), "line 2: the header has no host 1");
    EXPECT_EQ(problem_of(R"({"host":1,"error":"gone","message":""})"), "line 2: the header has no host 1");
    EXPECT_EQ(problem_of(R"({"host":0,"error":"lost","message":""})"),
              "line 2: 'error': a word that is not known: 'lost'");
    EXPECT_EQ(problem_of(R"({"host":0,"error":"gone"})"), "line 2: it has no 'message'");
    EXPECT_EQ(problem_of(R"({"time":[1,2]})"), "line 2: it has no 'host'");
    EXPECT_EQ(problem_of(R"({"host":0})"), "line 2: it has no 'time'");
    EXPECT_EQ(problem_of(R"({"host":0,"host":0})"), "line 2: 'host' stands there twice");
    EXPECT_EQ(problem_of(R"({"mark":"pause","number":1})"), "line 2: a mark that is not known: 'pause'");
    EXPECT_EQ(problem_of(R"({"mark":"tick"})"), "line 2: it has no 'number'");
    EXPECT_EQ(problem_of(header.substr(0, header.size() - 1)), "line 2: a second header");
    EXPECT_EQ(problem_of(R"({"host":0,"time":[1,2]} x)"), "line 2: no JSON object");
    EXPECT_EQ(problem_of(R"({"host":0,"time":[1,2.5]})"),
              "line 2: 'time': a whole number of its kind should be here");
    EXPECT_EQ(problem_of(std::string(10, '\0')), "line 2: binary data; no JSON object");
    EXPECT_EQ(problem_of(R"({"host":0,"error":"gone","message":{"hex":"0"}})"),
              "line 2: 'message': a string, or {\"hex\": pairs of hexadecimal digits}, should be here");
}

TEST_F(ReaderTest, WeightsAndAllocationsAreOfWhatThereIs) {
    const std::string domain = R"(,"domains":[[0,"n","u",1,null]],"running":[0],"use":[[1,2]])";
    const std::string reading = R"(,"reading":[1,2,"bpf",null,null,null])";
    const std::string package = reading + R"(,"packages":[0],"package_use":[[1,null,2,null]])";
    const std::string departed =
        reading + R"(,"domains":[[0,"n","u",1,null]],"departed":[0],"departed_use":[[1,2]])";
    const std::pair<std::string, std::string> cases[] = {
        {domain + R"(,"use_weight":[])", "'use_weight' must have an element for each domain that runs"},
        {domain + R"(,"use_weight":[[1,2]])", "a use must have as many weights as packages"},
        {domain + R"(,"use_helper":[[],[]])", "'use_helper' must have an element for each domain that runs"},
        {domain + R"(,"use_helper":[[1]])", "'use_helper': pairs of numbers should be here"},
        {domain + R"(,"vcpus":[1,2])", "'vcpus' must have an element for each domain that runs"},
        {R"(,"memory":[1])", "'memory' must have an element for each domain that runs"},
        {package + R"(,"package_weight":[])", "'package_weight' must have an element for each package"},
        {package + R"(,"package_weight":[[1]])", "'package_weight' must have two weights for each package"},
        {package + R"(,"package_shared":[1,2])", "'package_shared' must have an element for each package"},
        {package + R"(,"package_squared":[])", "'package_squared' must have an element for each package"},
        {departed + R"(,"departed_weight":[])",
         "'departed_weight' must have an element for each departed domain"},
        {departed + R"(,"departed_helper":[])",
         "'departed_helper' must have an element for each departed domain"},
        {reading + R"(,"departed_total_weight":[1])",
         "'departed_total_weight' must have an element for each package of 'departed_total'"},
        {R"(,"package_weight":[])", "it has counters of the host, but no 'reading'"},
        {R"(,"departed_helper":[])", "it has counters of the host, but no 'reading'"},
    };
    for (const auto& [rest, said] : cases) EXPECT_EQ(problem_of(sample(rest)), "line 2: " + said) << rest;
}

/// What ran is told anew, but not what it was given: that was of others.
TEST_F(ReaderTest, AllocationsOfOthersAreNotTaken) {
    const std::string first =
        sample(R"(,"domains":[[0,"n","u",1,null]],"running":[0],"use":[[1,2]],"vcpus":[4])");
    EXPECT_EQ(problem(header + first + "\n" + R"({"host":0,"time":[1,2],"running":[]})" + "\n"),
              "line 3: 'vcpus' must have an element for each domain that runs");
}

TEST_F(ReaderTest, NumbersAreWholeAndOfTheirRange) {
    for (const char* number :
         {"18446744073709551616", "-1", "1.0", "1e3", "01", "+1", "x", "\"1\"", "0x1", "null"})
        EXPECT_NE(problem_of(std::string(R"({"mark":"tick","number":)") + number + "}"), "") << number;
    EXPECT_EQ(problem_of(R"({"mark":"tick","number":18446744073709551615})"),
              "line 2: a tick before the start");
    EXPECT_EQ(problem_of(sample(R"(,"domains":[[4294967296,"n","u",1,null]])")),
              "line 2: 'domains': a number is out of range");
}

TEST_F(ReaderTest, ListsOfAFixedFormHaveThatForm) {
    EXPECT_EQ(problem_of(R"({"host":0,"time":[1]})"), "line 2: 'time': an array has too few elements");
    EXPECT_EQ(problem_of(R"({"host":0,"time":[1,2,3]})"), "line 2: 'time': an array has too many elements");
    EXPECT_EQ(problem_of(R"({"host":0,"time":{}})"), "line 2: 'time': an array should be here");
    EXPECT_EQ(problem_of(sample(R"(,"use":[[1]])")), "line 2: 'use': pairs of numbers should be here");
    EXPECT_EQ(problem_of(sample(R"(,"weighing":[1,2,3])")),
              "line 2: 'weighing': an array has too few elements");
    EXPECT_EQ(problem_of(sample(R"(,"weighing":[1,2,4294967296,true])")),
              "line 2: 'weighing': a number is out of range");
    EXPECT_EQ(problem_of(sample(R"(,"vcpus":[4294967296])")), "line 2: 'vcpus': a number is out of range");
}

TEST_F(ReaderTest, EndlessNestingIsNoRecording) {
    EXPECT_EQ(problem_of(std::string(1'000'000, '[')), "line 2: no JSON object");
}

TEST_F(ReaderTest, MarksComeInTheirOrder) {
    EXPECT_EQ(problem_of(R"({"mark":"tick","number":1})"), "line 2: a tick before the start");
    EXPECT_EQ(problem_of(R"({"mark":"end","number":0})"), "line 2: an end before the start");
    EXPECT_EQ(problem(header + started + started), "line 3: a second start");
}

TEST_F(ReaderTest, LinesThatAreMissingAreNoticed) {
    std::string ticks = started + R"({"mark":"tick","number":1})"
                                  "\n";
    EXPECT_EQ(problem(header + ticks +
                      R"({"mark":"tick","number":3})"
                      "\n"),
              "line 4: tick 3 follows tick 1: lines are missing");
    EXPECT_EQ(problem(header + ticks +
                      R"({"mark":"end","number":2})"
                      "\n"),
              "line 4: the end mark counts 2 ticks; there are 1");
}

/// Wherever the file is cut, all whole lines are given, and then the cut.
TEST_F(ReaderTest, CutOffAnywhere) {
    const std::string whole = header + R"({"host":0,"time":[1,2],)" + about + "}\n" + started +
                              R"({"mark":"tick","number":1})"
                              "\n"
                              R"({"mark":"end","number":1})"
                              "\n";
    for (size_t size = header.size(); size < whole.size() - 1; ++size) {
        std::string cut = whole.substr(0, size);
        write(cut);
        Steps read = read_all(path());
        auto lines = static_cast<size_t>(std::count(cut.begin(), cut.end(), '\n'));
        // A last line that lacks nothing but its end is whole.
        bool complete = size + 1 < whole.size() && whole[size] == '\n';
        EXPECT_EQ(read.steps.size(), lines - 1 + (complete ? 1 : 0)) << cut;
        EXPECT_EQ(read.kind, ErrorKind::Gone) << cut;
        EXPECT_NE(read.problem.find("cut off"), std::string::npos) << read.problem;
    }
    write(whole.substr(0, whole.size() - 1));
    EXPECT_EQ(read_all(path()).problem, "");
}

TEST_F(ReaderTest, ALineWithoutEndIsBounded) {
    EXPECT_EQ(problem(std::string(18 << 20, ' ')),
              "line 1: longer than 16 MiB; this is no recording of virt-power");
    EXPECT_EQ(problem(header + std::string(18 << 20, ' ')), "line 2: longer than 16 MiB");
}

TEST_F(ReaderTest, ListsAreBounded) {
    std::string zeros = "0";
    for (int i = 0; i < 100'000; ++i) zeros += ",0";
    EXPECT_EQ(problem_of(R"({"host":0,"time":[1,2],"running":[)" + zeros + "]}").substr(0, 36),
              "line 2: 'running': an array has too ");
}

TEST_F(ReaderTest, WhatCannotBeReadIsNamed) {
    EXPECT_EQ(read_all(path("none")).problem, path("none") + ": cannot open: No such file or directory");
    EXPECT_EQ(read_all(dir_).problem, dir_ + ": cannot read: Is a directory");
}

TEST_F(ReaderTest, AfterTheEndThereIsNothing) {
    write(header + started +
          R"({"mark":"end","number":0})"
          "\n");
    auto reader = RecordingReader::open(path());
    ASSERT_TRUE(reader);
    EXPECT_EQ(*(*reader)->next(), RecordedStep::Started);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(*(*reader)->next(), RecordedStep::End);
    write(header + "rubbish\n" + started);
    reader = RecordingReader::open(path());
    std::string first = (*reader)->next().error().message;
    EXPECT_EQ((*reader)->next().error().message, first);
}

TEST_F(ReaderTest, WhatFollowsTheEndIsAnError) {
    const std::string whole = header + started + R"({"mark":"end","number":0})" + "\n";
    write(whole + whole);
    auto reader = RecordingReader::open(path());
    ASSERT_TRUE(reader);
    EXPECT_EQ(*(*reader)->next(), RecordedStep::Started);
    for (int i = 0; i < 2; ++i) {
        Result<RecordedStep> step = (*reader)->next();
        ASSERT_FALSE(step);
        EXPECT_EQ(step.error().kind, ErrorKind::Malformed);
        EXPECT_NE(step.error().message.find("line 4: it stands after the end mark"), std::string::npos);
    }
}

TEST_F(ReaderTest, APipeIsReadAsItIsWrittenAndLeftWhenToldTo) {
    ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
    int stop[2];
    ASSERT_EQ(pipe2(stop, O_CLOEXEC), 0);
    std::thread writer([this] {
        int fd = open(path().c_str(), O_WRONLY);  // NOLINT: has no mode
        std::string text = header + started;
        EXPECT_EQ(::write(fd, text.data(), 10), 10);
        EXPECT_EQ(::write(fd, text.data() + 10, text.size() - 10), static_cast<ssize_t>(text.size() - 10));
        writer_ = fd;
    });
    auto reader = RecordingReader::open(path(), stop[0]);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(*(*reader)->next(), RecordedStep::Started);
    writer.join();
    EXPECT_EQ(::write(stop[1], "", 1), 1);
    EXPECT_EQ((*reader)->next().error().error_number, EINTR);
    close(writer_);
    close(stop[0]);
    close(stop[1]);
}

}  // namespace
}  // namespace virt_power::test
