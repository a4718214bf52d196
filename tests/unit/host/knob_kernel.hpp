// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Plays the kernel behind the files of a FakeRoot: takes writes, at once or later, rounds them,
/// refuses them, or loses a file in between.
#ifndef VIRT_POWER_TESTS_KNOB_KERNEL_HPP
#define VIRT_POWER_TESTS_KNOB_KERNEL_HPP

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fake_root.hpp"
#include "kernel_file.hpp"
#include "knob_change.hpp"

namespace virt_power {

/// What a call throws.
template <typename Call>
KnobError error_of(Call call) {
    try {
        call();
    } catch (const KnobError& error) {
        return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return {KnobErrorKind::Failed, ""};
}

class KnobKernel {
public:
    /// \param base what is cut off the names of files below
    KnobKernel(FakeRoot& root, std::string base) : root_(root), base_(std::move(base)) {}

    [[nodiscard]] WriteFile writer() {
        return [this](const std::filesystem::path& path, std::string_view value) {
            return write(path.lexically_relative(root_.path() / base_).string(), std::string(value));
        };
    }

    /// Time goes by as it is slept.
    [[nodiscard]] Sleep sleeper() {
        return [this](std::chrono::milliseconds duration) {
            slept += duration;
            if (slept < late_until_) return;
            for (const auto& [file, value] : std::exchange(pending_, {})) put(file, value);
        };
    }

    /// Writes are taken at once, and stand in the file when this has gone by.
    void late(const std::string& file, std::chrono::milliseconds delay) { late_[file] = delay; }

    /// The file holds what this makes of each value.
    void rounds(const std::string& file, std::function<std::string(const std::string&)> to) {
        rounds_[file] = std::move(to);
    }
    /// The next writes fail, or all from the nth on (0: the first).
    void refuses(const std::string& file, int error_number, size_t from = 0) {
        refuses_[file] = {error_number, from};
    }
    void takes(const std::string& file) { refuses_.erase(file); }
    /// After each write that was taken.
    void after_write(std::function<void(const std::string& file)> then) { then_ = std::move(then); }

    [[nodiscard]] std::string read(const std::string& file) const {
        Result<std::string> text = read_kernel_file(root_.path() / base_ / file);
        return text ? std::string(trim(*text)) : text.error().message;
    }
    void put(const std::string& file, const std::string& value) {
        root_.file((std::filesystem::path(base_) / file).string(), value + "\n");
    }

    /// "file=value" of every write, refused or not.
    std::vector<std::string> writes;
    std::chrono::milliseconds slept{0};

private:
    struct Refusal {
        int error_number;
        size_t from;
        size_t seen = 0;
    };

    Status write(const std::string& file, const std::string& value) {
        writes.push_back(file + "=" + value);
        std::filesystem::path path = root_.path() / base_ / file;
        if (!std::filesystem::exists(path)) return system_error(ENOENT, "open", path);
        auto refusal = refuses_.find(file);
        if (refusal != refuses_.end() && refusal->second.seen++ >= refusal->second.from)
            return system_error(refusal->second.error_number, "write", path);
        auto round = rounds_.find(file);
        std::string stands = round == rounds_.end() ? value : round->second(value);
        if (auto late = late_.find(file); late != late_.end()) {
            pending_[file] = stands;
            late_until_ = slept + late->second;
        } else {
            put(file, stands);
        }
        if (then_) then_(file);
        return ok();
    }

    FakeRoot& root_;
    std::string base_;
    std::map<std::string, std::function<std::string(const std::string&)>> rounds_;
    std::map<std::string, Refusal> refuses_;
    std::map<std::string, std::chrono::milliseconds> late_;
    std::map<std::string, std::string> pending_;
    std::chrono::milliseconds late_until_{0};
    std::function<void(const std::string&)> then_;
};

}  // namespace virt_power

#endif
