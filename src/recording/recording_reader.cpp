// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "host_memory.hpp"
#include "line.hpp"
#include "line_input.hpp"
#include "virt-power/recording.hpp"
#include "words.hpp"

namespace virt_power {

struct RecordingReader::State {
    explicit State(LineInput given) : input(std::move(given)) {}

    LineInput input;
    RecordingHeader header;
    LineParser parser;
    Line line;
    std::vector<HostMemory> hosts;
    size_t host = 0;
    Error error;
    bool started = false;
    uint64_t ticks = 0;
    std::optional<Result<RecordedStep>> ending;

    Result<std::string_view> take_line();
    Status read_header();
    RecordedStep take();
    Result<RecordedStep> end();
    [[nodiscard]] Error bad(ErrorKind kind, std::string_view reason) const {
        return {kind, 0, fmt::format("{}: line {}: {}", input.name(), input.number(), reason)};
    }
};

namespace {

/// What a line that is no JSON seems to be.
std::string_view guess(std::string_view line) {
    if (line.find('\0') != std::string_view::npos) return "binary data; ";
    return "";
}

}  // namespace

/// A line in whole, or why there is none.
Result<std::string_view> RecordingReader::State::take_line() {
    Result<std::optional<std::string_view>> got = input.next();
    if (!got) return got.error();
    if (!*got)
        return Error{
            ErrorKind::Gone, 0,
            fmt::format("{}: line {}: cut off (the end mark is missing: the recording was not ended, or "
                        "goes on)",
                        input.name(), input.number() + 1)};
    std::string_view text = **got;
    try {
        parser.parse(text, line);
    } catch (const BadLine& problem) {
        if (input.cut_off() && input.number() > 1)
            return bad(ErrorKind::Gone, "cut off (the last line is not whole)");
        return bad(ErrorKind::Malformed, fmt::format("{}{}", guess(text), problem.reason));
    }
    return text;
}

Status RecordingReader::State::read_header() {
    Result<std::string_view> text = take_line();
    if (!text) {
        if (text.error().kind == ErrorKind::Gone)
            return Error{ErrorKind::Malformed, 0, input.name() + ": line 1: the file is empty"};
        if (text.error().kind != ErrorKind::Malformed) return text.error();
        return Error{ErrorKind::Malformed, 0, text.error().message + "; this is no recording of virt-power"};
    }
    if (line.kind != LineKind::Header)
        return bad(ErrorKind::Malformed, "no header; this is no recording of virt-power");
    if (line.version > recording_version)
        return bad(ErrorKind::Unsupported,
                   fmt::format("version {} of the format; this virt-power reads up to version {}",
                               line.version, recording_version));
    if (line.version == 0 || !line.has(Key::Hosts) || line.hosts.empty())
        return bad(ErrorKind::Malformed, "the header names no version or no hosts");
    header.program = line.program;
    constexpr uint64_t most_ms = uint64_t{86'400'000};
    header.delay = std::chrono::milliseconds(std::min(line.has(Key::DelayMs) ? line.delay_ms : 0, most_ms));
    header.hosts = line.hosts;
    hosts.resize(header.hosts.size());
    return ok();
}

/// Throws BadLine.
RecordedStep RecordingReader::State::take() {
    auto known_host = [this] {
        if (line.host >= hosts.size()) throw BadLine{fmt::format("the header has no host {}", line.host)};
        host = static_cast<size_t>(line.host);
    };
    switch (line.kind) {
        case LineKind::Header:
            throw BadLine{"a second header"};
        case LineKind::Sample:
            known_host();
            hosts[host].take(line);
            return RecordedStep::Sample;
        case LineKind::Error:
            known_host();
            error = line.error;
            return RecordedStep::Error;
        case LineKind::Started:
            if (std::exchange(started, true)) throw BadLine{"a second start"};
            return RecordedStep::Started;
        case LineKind::Tick:
            if (!started) throw BadLine{"a tick before the start"};
            if (line.number != ++ticks)
                throw BadLine{
                    fmt::format("tick {} follows tick {}: lines are missing", line.number, ticks - 1)};
            return RecordedStep::Tick;
        case LineKind::End:
            break;
    }
    if (!started) throw BadLine{"an end before the start"};
    if (line.number != ticks)
        throw BadLine{fmt::format("the end mark counts {} ticks; there are {}", line.number, ticks)};
    return RecordedStep::End;
}

/// Another recording behind the end mark, as `>>` leaves it, would be missed without a word.
Result<RecordedStep> RecordingReader::State::end() {
    Result<std::optional<std::string_view>> more = input.next();
    if (!more) return more.error();
    if (*more)
        return bad(ErrorKind::Malformed,
                   "it stands after the end mark; a file holds one recording, and what follows is not shown");
    return RecordedStep::End;
}

RecordingReader::RecordingReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
RecordingReader::~RecordingReader() = default;

Result<std::unique_ptr<RecordingReader>> RecordingReader::open(const std::string& path, int stop_fd) {
    Result<LineInput> input = LineInput::open(path, stop_fd);
    if (!input) return input.error();
    auto state = std::make_unique<State>(*std::move(input));
    Status read = state->read_header();
    if (!read) return read.error();
    return std::unique_ptr<RecordingReader>(new RecordingReader(std::move(state)));
}

const RecordingHeader& RecordingReader::header() const { return state_->header; }
size_t RecordingReader::host() const { return state_->host; }
const Sample& RecordingReader::sample() const { return state_->hosts[state_->host].sample(); }
const Error& RecordingReader::error() const { return state_->error; }

Result<RecordedStep> RecordingReader::next() {
    if (state_->ending) return *state_->ending;
    Result<std::string_view> text = state_->take_line();
    if (!text) {
        state_->ending = text.error();
        return text.error();
    }
    try {
        RecordedStep step = state_->take();
        if (step != RecordedStep::End) return step;
        state_->ending = state_->end();
        return *state_->ending;
    } catch (const BadLine& problem) {
        state_->ending = state_->bad(ErrorKind::Malformed, problem.reason);
        return *state_->ending;
    }
}

}  // namespace virt_power
