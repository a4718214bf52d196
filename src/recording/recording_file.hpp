// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The file that a recording is written to.
#ifndef VIRT_POWER_RECORDING_RECORDING_FILE_HPP
#define VIRT_POWER_RECORDING_RECORDING_FILE_HPP

#include <string>
#include <string_view>

#include "virt-power/recording.hpp"

namespace virt_power {

/// Nothing is written, and nothing replaced, before begin().
class RecordingFile {
public:
    static Result<RecordingFile> create(const std::string& path, const RecorderOptions& options);

    RecordingFile(RecordingFile&& other) noexcept;
    RecordingFile& operator=(RecordingFile&&) = delete;
    /// Before begin() the file that create() made is removed, unless another took its place.
    ~RecordingFile();

    /// Replaces what is to be replaced.
    Status begin();
    /// All of it by one write(), where the file lets it; else it is taken back if the file can be truncated.
    /// An error, too, if the file has no name any more: nothing would be left of it.
    Status write(std::string_view text);
    /// Waits until all is on the disk.
    Status close();

    [[nodiscard]] const std::string& name() const { return name_; }

private:
    RecordingFile(std::string path, int stop_fd);
    Status open_new();
    [[nodiscard]] bool is_removed() const;
    [[nodiscard]] Result<size_t> write_some(std::string_view text) const;

    std::string path_, name_;
    int fd_ = -1, stop_fd_ = -1;
    bool regular_ = true;
    bool replaces_ = false;
    bool begun_ = false;
};

}  // namespace virt_power

#endif
