// SPDX-License-Identifier: LGPL-2.1-or-later
#include "replay.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "host_pipe.hpp"
#include "options.hpp"
#include "reporter.hpp"
#include "virt-power/recording.hpp"

namespace virt_power {
namespace {

struct Given {
    GivenOptions output;
    std::string file;
};

bool is_readable(int fd) {
    pollfd waited{fd, POLLIN, 0};
    return poll(&waited, 1, 0) > 0;
}

class Replay {
public:
    Replay(const Options& options, RecordingReader& reader, int stop_fd)
        : reader_(reader),
          stop_fd_(stop_fd),
          pipes_(make_pipes(reader.header().hosts.size(), options.attribution)),
          reporter_(options, {reader.header().hosts, stop_fd, false, false}) {}

    int run();

private:
    std::optional<int> take(RecordedStep step);

    RecordingReader& reader_;
    int stop_fd_;
    std::vector<HostPipe> pipes_;
    Reporter reporter_;
};

/// The status, if this was the last step to be shown.
std::optional<int> Replay::take(RecordedStep step) {
    size_t host = reader_.host();
    switch (step) {
        case RecordedStep::Sample:
        case RecordedStep::Error: {
            Delivery delivery = step == RecordedStep::Sample ? pipes_[host].take(reader_.sample())
                                                             : pipes_[host].take(reader_.error());
            delivery.host = host;
            return reporter_.take(std::move(delivery));
        }
        case RecordedStep::Started:
            return reporter_.start();
        case RecordedStep::Tick:
            if (!reporter_.tick()) return reporter_.status();
            if (reporter_.done() || is_readable(stop_fd_)) return 0;
            return std::nullopt;
        case RecordedStep::End:
            break;
    }
    return 0;
}

int Replay::run() {
    std::optional<int> status;
    while (!status) {
        Result<RecordedStep> step = reader_.next();
        if (step) {
            status = take(*step);
            continue;
        }
        if (step.error().error_number == EINTR) return 0;
        reporter_.tell(step.error().message);
        return 1;
    }
    return *status;
}

int run(const Options& options, const std::string& file, Context& context) {
    Result<std::unique_ptr<RecordingReader>> reader = RecordingReader::open(file, context.signals.stop);
    if (!reader) {
        if (reader.error().error_number == EINTR) return 0;
        fmt::print(stderr, "virt-power: {}\n", escape_for_terminal(reader.error().message));
        return 1;
    }
    return Replay(options, **reader, context.signals.stop).run();
}

}  // namespace

Subcommand declare_replay(CLI::App& app) {
    auto given = std::make_shared<Given>();
    CLI::App* replay = app.add_subcommand("replay", "Show what a recording holds, as if it were now");
    replay->add_option("FILE", given->file, "The recording; - is standard input")->required()->type_name("");
    declare_output_options(*replay, given->output);
    return {replay, [given]() -> Command {
                Options options = check_options(given->output);
                if (given->file.empty()) throw UsageError{"FILE is empty"};
                return [options = std::move(options), given](Context& context) {
                    return run(options, given->file, context);
                };
            }};
}

}  // namespace virt_power
