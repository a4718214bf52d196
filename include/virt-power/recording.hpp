// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Recordings: the raw samples of a run in a file, and back. The form of the file is
/// in docs/recording.md. All numbers are as the sources gave them (reading.hpp,
/// sample.hpp): nothing is rounded, and what was absent is absent again.
///
/// Threads: as in pipeline.hpp.
#ifndef VIRT_POWER_RECORDING_HPP
#define VIRT_POWER_RECORDING_HPP

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "virt-power/export.hpp"
#include "virt-power/pipeline.hpp"
#include "virt-power/result.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

/// The first line of a recording.
struct RecordingHeader {
    std::string program;                ///< name and version of what wrote it, for people
    std::chrono::milliseconds delay{};  ///< time between ticks
    /// What each host was asked for by: a URI, or an empty string for libvirt's own choice.
    std::vector<std::string> hosts;

    bool operator==(const RecordingHeader&) const = default;
};

struct RecorderOptions {
    bool overwrite = false;  ///< a regular file that exists is replaced
    int stop_fd = -1;        ///< readable: a write that would block gives up; -1: none
};

/// Writes a recording. A run is: answers of hosts, then started(); then, again and
/// again, answers and tick(); then finish(). Each line is one write to the file, so
/// that whatever ends the program leaves whole lines and at most one part of a line.
///
/// Nothing replaces or stays of a file before started(): a run that reached no host
/// leaves no recording. A new file has mode 0600, since readings of power tell about
/// the data that is worked on.
///
/// A file that is removed or replaced while it is written to is an error.
///
/// After an error all further calls give that error. A line that could not be written
/// in whole is taken back where the file can be truncated.
class VIRT_POWER_API Recorder {
public:
    /// Opens `path` for writing; `-` is standard output, which is neither closed nor
    /// synchronised. Errors: Malformed (it exists and may not be replaced, with EEXIST, or is not
    /// a regular file), Denied, Transient. The message names the file. Since 0.1.
    static Result<std::unique_ptr<Recorder>> create(const std::string& path, const RecordingHeader& header,
                                                    const RecorderOptions& options);

    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;
    /// Without finish() the recording has no end mark; before started() it is removed.
    ~Recorder();

    /// What a host gave. `host` is an index into RecordingHeader::hosts.
    [[nodiscard]] Status add(size_t host, const Sample& sample);
    /// A host gave no sample.
    [[nodiscard]] Status add(size_t host, const Error& error);
    /// Each host was asked once; those that answered are known.
    [[nodiscard]] Status started();
    /// What was added since the last tick belongs to one tick.
    [[nodiscard]] Status tick();
    /// Writes the end mark, and waits until all is on the disk.
    [[nodiscard]] Status finish();

private:
    struct State;
    explicit Recorder(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// What a line of a recording says.
enum class RecordedStep {
    Sample,   ///< host() gave sample()
    Error,    ///< host() gave error()
    Started,  ///< as Recorder::started()
    Tick,     ///< as Recorder::tick()
    End,      ///< as Recorder::finish()
};

/// Reads a recording, line by line. Takes memory for the longest line and for what each
/// host has at one time, however long the recording is.
class VIRT_POWER_API RecordingReader {
public:
    /// Opens `path`, or standard input for `-`, and reads the header. `stop_fd` as in
    /// RecorderOptions. Errors: Malformed (no recording, or one of a later version), Gone (cut
    /// off), Denied, Transient. The message names file and line. Since 0.1.
    static Result<std::unique_ptr<RecordingReader>> open(const std::string& path, int stop_fd = -1);

    RecordingReader(const RecordingReader&) = delete;
    RecordingReader& operator=(const RecordingReader&) = delete;
    ~RecordingReader();

    [[nodiscard]] const RecordingHeader& header() const;

    /// The next line; End only if nothing follows it. Errors: Malformed, Gone where the recording is cut off
    /// (its last line is not whole, or is no end mark), Transient with EINTR for stop_fd. The message names
    /// file and line. After an error or End there is nothing to come.
    [[nodiscard]] Result<RecordedStep> next();

    /// Of the last Sample or Error: an index into RecordingHeader::hosts.
    [[nodiscard]] size_t host() const;
    /// Of the last Sample. Valid until next() is called again.
    [[nodiscard]] const Sample& sample() const;
    /// Of the last Error.
    [[nodiscard]] const Error& error() const;

private:
    struct State;
    explicit RecordingReader(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// One host of a recording as a source: each call gives its next sample or error, without
/// waiting; at the end Gone. `host` is an index into RecordingHeader::hosts. Errors as
/// RecordingReader::open(), Malformed for a host that it does not have. Since 0.1.
VIRT_POWER_API Result<std::unique_ptr<Source>> make_recording_source(const std::string& path,
                                                                     size_t host = 0);

}  // namespace virt_power

#endif
