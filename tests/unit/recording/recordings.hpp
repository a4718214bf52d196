// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Recordings for tests: a directory of their own, whole texts, steps taken apart.
#ifndef VIRT_POWER_TESTS_RECORDING_RECORDINGS_HPP
#define VIRT_POWER_TESTS_RECORDING_RECORDINGS_HPP

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "virt-power/recording.hpp"

namespace virt_power::test {

class RecordingTest : public testing::Test {
protected:
    RecordingTest() {
        std::string name = (std::filesystem::temp_directory_path() / "virt-power-XXXXXX").string();
        dir_ = mkdtemp(name.data());
    }
    ~RecordingTest() override { std::filesystem::remove_all(dir_); }

    [[nodiscard]] std::string path(const std::string& name = "recording") const { return dir_ + "/" + name; }

    void write(const std::string& text) const { std::ofstream(path(), std::ios::binary) << text; }

    [[nodiscard]] std::string text() const {
        std::ostringstream out;
        out << std::ifstream(path(), std::ios::binary).rdbuf();
        return out.str();
    }

    [[nodiscard]] std::unique_ptr<Recorder> recorder(std::vector<std::string> hosts = {""},
                                                     bool overwrite = false) const {
        auto made =
            Recorder::create(path(), {"a test", std::chrono::seconds(3), std::move(hosts)}, {overwrite, -1});
        EXPECT_TRUE(made) << made.error().message;
        return *std::move(made);
    }

    std::string dir_;
};

/// All steps up to the end or an error.
struct Steps {
    std::vector<RecordedStep> steps;
    std::vector<Sample> samples;
    std::vector<Error> errors;
    std::vector<size_t> hosts;
    std::string problem;  ///< what next() ended with; empty after an end mark
    ErrorKind kind = ErrorKind::Transient;
};

inline Steps read_all(const std::string& path) {
    Steps all;
    auto reader = RecordingReader::open(path);
    if (!reader) {
        all.problem = reader.error().message;
        all.kind = reader.error().kind;
        return all;
    }
    while (all.steps.empty() || all.steps.back() != RecordedStep::End) {
        auto step = (*reader)->next();
        if (!step) {
            all.problem = step.error().message;
            all.kind = step.error().kind;
            break;
        }
        all.steps.push_back(*step);
        if (*step == RecordedStep::Sample) all.samples.push_back((*reader)->sample());
        if (*step == RecordedStep::Error) all.errors.push_back((*reader)->error());
        if (*step == RecordedStep::Sample || *step == RecordedStep::Error)
            all.hosts.push_back((*reader)->host());
    }
    return all;
}

}  // namespace virt_power::test

#endif
