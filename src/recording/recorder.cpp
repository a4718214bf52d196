// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/format.h>

#include <optional>
#include <utility>

#include "encoder.hpp"
#include "recording_file.hpp"

namespace virt_power {

struct Recorder::State {
    State(RecordingFile given, size_t host_count) : file(std::move(given)), hosts(host_count) {}

    RecordingFile file;
    std::vector<HostEncoder> hosts;
    std::string text;  ///< what is not written yet: all before started()
    bool begun = false;
    uint64_t lines = 0, ticks = 0;
    std::optional<Error> failed;

    Status flush();
    Status fail(const Error& error);
};

/// Says what there is, too: somebody counts on the recording.
Status Recorder::State::fail(const Error& error) {
    failed = error;
    failed->message += fmt::format("; the recording ends after line {}, tick {}", lines, ticks);
    return *failed;
}

Status Recorder::State::flush() {
    if (!begun) return ok();
    std::string_view rest = text;
    while (!rest.empty()) {
        size_t line = rest.find('\n') + 1;
        if (line > longest_line)
            return fail(
                {ErrorKind::Malformed, 0,
                 fmt::format("{}: a line of {} bytes is too long to be read again", file.name(), line)});
        Status written = file.write(rest.substr(0, line));
        if (!written) return fail(written.error());
        ++lines;
        rest.remove_prefix(line);
    }
    text.clear();
    return ok();
}

Recorder::Recorder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Recorder::~Recorder() = default;

Result<std::unique_ptr<Recorder>> Recorder::create(const std::string& path, const RecordingHeader& header,
                                                   const RecorderOptions& options) {
    Result<RecordingFile> file = RecordingFile::create(path, options);
    if (!file) return file.error();
    auto state = std::make_unique<State>(*std::move(file), header.hosts.size());
    state->text = header_line(header);
    return std::unique_ptr<Recorder>(new Recorder(std::move(state)));
}

Status Recorder::add(size_t host, const Sample& sample) {
    if (state_->failed) return *state_->failed;
    size_t departed = sample.reading ? sample.reading->departed.size() : 0;
    if (sample.domains.size() > most_elements || departed > most_elements)
        return state_->fail({ErrorKind::Malformed, 0, state_->file.name() + ": too many domains for a line"});
    state_->hosts.at(host).append(state_->text, host, sample);
    return state_->flush();
}

Status Recorder::add(size_t host, const Error& error) {
    if (state_->failed) return *state_->failed;
    state_->text += error_line(host, error);
    return state_->flush();
}

Status Recorder::started() {
    if (state_->failed) return *state_->failed;
    Status begun = state_->file.begin();
    if (!begun) return state_->fail(begun.error());
    state_->begun = true;
    state_->text += started_line();
    return state_->flush();
}

Status Recorder::tick() {
    if (state_->failed) return *state_->failed;
    state_->text += tick_line(state_->ticks + 1);
    Status written = state_->flush();
    if (written) ++state_->ticks;
    return written;
}

Status Recorder::finish() {
    if (state_->failed) return *state_->failed;
    state_->text += end_line(state_->ticks);
    Status written = state_->flush();
    if (!written) return written;
    Status closed = state_->file.close();
    return closed ? closed : state_->fail(closed.error());
}

}  // namespace virt_power
