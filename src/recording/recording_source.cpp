// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/format.h>

#include <utility>

#include "virt-power/recording.hpp"

namespace virt_power {
namespace {

class RecordingSource : public Source {
public:
    RecordingSource(std::unique_ptr<RecordingReader> reader, std::string name, size_t host)
        : reader_(std::move(reader)), name_(std::move(name)), host_(host) {}

    Result<Sample> sample() override {
        while (true) {
            Result<RecordedStep> step = reader_->next();
            if (!step) return step.error();
            if (*step == RecordedStep::End)
                return Error{ErrorKind::Gone, 0, name_ + ": the recording ends here"};
            if (*step == RecordedStep::Sample && reader_->host() == host_) return reader_->sample();
            if (*step == RecordedStep::Error && reader_->host() == host_) return reader_->error();
        }
    }

private:
    std::unique_ptr<RecordingReader> reader_;
    std::string name_;
    size_t host_;
};

}  // namespace

Result<std::unique_ptr<Source>> make_recording_source(const std::string& path, size_t host) {
    Result<std::unique_ptr<RecordingReader>> reader = RecordingReader::open(path);
    if (!reader) return reader.error();
    if (host >= (*reader)->header().hosts.size())
        return Error{ErrorKind::Malformed, 0, fmt::format("{}: there is no host {}", path, host)};
    return std::unique_ptr<Source>(std::make_unique<RecordingSource>(*std::move(reader), path, host));
}

}  // namespace virt_power
