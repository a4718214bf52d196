// SPDX-License-Identifier: LGPL-2.1-or-later
#include "record.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>

#include "monitor.hpp"
#include "options.hpp"
#include "virt-power/recording.hpp"

namespace virt_power {
namespace {

struct Given {
    GivenOptions monitor;
    std::string file;
    bool force = false, quiet = false;
};

int run(const Options& options, const Given& given, Context& context) {
    RecordingHeader header{"virt-power " VIRT_POWER_VERSION, options.delay, options.uris};
    Result<std::unique_ptr<Recorder>> recorder =
        Recorder::create(given.file, header, {given.force, context.signals.stop});
    if (!recorder) {
        bool exists = recorder.error().error_number == EEXIST && !given.force;
        fmt::print(stderr, "virt-power: {}{}\n", escape_for_terminal(recorder.error().message),
                   exists ? " (see --force)" : "");
        return 1;
    }
    return run_monitor(options, context, recorder->get(), given.quiet);
}

}  // namespace

Subcommand declare_record(CLI::App& app) {
    auto given = std::make_shared<Given>();
    CLI::App* record = app.add_subcommand("record", "Show the same, and keep all samples in a file");
    record->add_option("FILE", given->file, "The recording; - is standard output, with --quiet")
        ->required()
        ->type_name("");
    record->add_flag("--force", given->force, "Replace the file if it exists");
    record->add_flag("-q,--quiet", given->quiet, "Show no intervals");
    declare_source_options(*record, given->monitor);
    declare_output_options(*record, given->monitor);
    return {record, [given]() -> Command {
                Options options = check_options(given->monitor);
                if (given->file.empty()) throw UsageError{"FILE is empty"};
                if (given->file == "-" && !given->quiet)
                    throw UsageError{"a recording to standard output (-) needs --quiet"};
                return [options = std::move(options), given](Context& context) {
                    return run(options, *given, context);
                };
            }};
}

}  // namespace virt_power
