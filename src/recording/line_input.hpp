// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A file's lines, one at a time, with a bound to their length.
#ifndef VIRT_POWER_RECORDING_LINE_INPUT_HPP
#define VIRT_POWER_RECORDING_LINE_INPUT_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "virt-power/result.hpp"

namespace virt_power {

class LineInput {
public:
    /// `-` is standard input, which is not closed.
    static Result<LineInput> open(const std::string& path, int stop_fd);

    LineInput(LineInput&& other) noexcept;
    LineInput& operator=(LineInput&&) = delete;
    ~LineInput();

    /// The next line, without its end, until the next call; nothing at the end of the file. A last
    /// line without an end is given too, see cut_off(). Error: Transient with EINTR for stop_fd, Malformed
    /// for a line that is too long, else what read(2) gave.
    Result<std::optional<std::string_view>> next();

    /// The last line had no end.
    [[nodiscard]] bool cut_off() const { return cut_off_; }
    /// Of the last line, from 1.
    [[nodiscard]] uint64_t number() const { return number_; }
    /// As messages name it.
    [[nodiscard]] const std::string& name() const { return name_; }

private:
    LineInput(int fd, int stop_fd, std::string name);
    Result<bool> fill();

    int fd_, stop_fd_;
    bool must_wait_ = false;  ///< no regular file
    std::string name_;
    std::string buffer_;
    size_t begin_ = 0, end_ = 0;  ///< of what is not given yet
    uint64_t number_ = 0;
    bool at_end_ = false, cut_off_ = false;
};

/// What is wrong with opening, reading or writing a file, from errno's value.
Error file_error(const std::string& name, const char* action, int number);

}  // namespace virt_power

#endif
