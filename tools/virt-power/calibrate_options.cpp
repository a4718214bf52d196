// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <utility>

#include "calibrate.hpp"
#include "options.hpp"
#include "values.hpp"

namespace virt_power {
namespace {

constexpr double shortest_s = 2, longest_s = 3600;
constexpr double least_busy_percent = 0.1, most_busy_percent = 100;
constexpr double shortest_join_s = 1, longest_join_s = 3600;
constexpr double least_error_percent = 0.1, most_error_percent = 100;
/// In a shorter one the beginning of the load is too much of each window, and the weight comes out too low.
constexpr double shortest_phase_s = 5, longest_phase_s = 60;

struct Given {
    std::string uri;
    std::optional<std::string> seconds, timeout, max_busy, output, from, window, max_error, phase;
    bool dry_run = false, json = false, load = false;
};

/// Options that would have no effect are refused.
void check_mixture(const Given& given) {
    for (auto [name, is_given] :
         {std::pair{"--seconds", given.seconds.has_value()},
          std::pair{"--timeout", given.timeout.has_value()},
          std::pair{"--max-busy", given.max_busy.has_value()}, std::pair{"--load", given.load}})
        if (given.from && is_given) throw UsageError{fmt::format("{} and --from exclude each other", name)};
    for (auto [name, is_given] : {std::pair{"--window", given.window.has_value()},
                                  std::pair{"--max-error", given.max_error.has_value()}})
        if (!given.from && is_given) throw UsageError{fmt::format("{} is for --from", name)};
    if (!given.load && given.phase) throw UsageError{"--phase is for --load"};
    if (given.from && given.from->empty()) throw UsageError{"--from needs the name of a file"};
}

CalibrateOptions check(const Given& given) {
    check_mixture(given);
    CalibrateOptions options;
    options.uri = given.uri;
    options.duration = must(parse_seconds("--seconds", given.seconds.value_or("60"), shortest_s, longest_s));
    options.timeout = must(parse_seconds("--timeout", given.timeout.value_or("10"), 0.1, 3600));
    options.max_busy_percent = must(
        parse_percent("--max-busy", given.max_busy.value_or("2"), least_busy_percent, most_busy_percent));
    options.window =
        must(parse_seconds("--window", given.window.value_or("10"), shortest_join_s, longest_join_s));
    options.max_error_percent = must(parse_percent("--max-error", given.max_error.value_or("10"),
                                                   least_error_percent, most_error_percent));
    options.phase =
        must(parse_seconds("--phase", given.phase.value_or("5"), shortest_phase_s, longest_phase_s));
    options.from = given.from;
    options.load = given.load;
    if (given.output && given.output->empty()) throw UsageError{"--output needs the name of a file"};
    options.output = given.output;
    options.dry_run = given.dry_run;
    options.json = given.json;
    return options;
}

}  // namespace

Subcommand declare_calibrate(CLI::App& app) {
    auto given = std::make_shared<Given>();
    CLI::App* command = app.add_subcommand("calibrate", "Find what a host draws when idle, and keep it");
    command->add_option("-c,--connect", given->uri, "Host to measure")->type_name("URI");
    command->add_option("--seconds", given->seconds, "How long to measure, 2 to 3600 (default 60)")
        ->type_name("SECONDS");
    command
        ->add_option("--max-busy", given->max_busy,
                     "How busy its CPUs may be on average, 0.1 to 100 percent (default 2)")
        ->type_name("PERCENT");
    command->add_option("--from", given->from, "Find it in a recording instead; - is standard input")
        ->type_name("RECORDING");
    command
        ->add_option("--window", given->window,
                     "Of a recording: join samples until they span this, 1 to 3600 (default 10)")
        ->type_name("SECONDS");
    command
        ->add_option("--max-error", given->max_error,
                     "Of a recording: how uncertain the result may be, 0.1 to 100 percent of it (default 10)")
        ->type_name("PERCENT");
    command->add_flag("--load", given->load,
                      "Then keep this machine's CPUs busy, to find what use of shared cores weighs");
    command
        ->add_option("--phase", given->phase,
                     "Length of each of the four phases of --load, 5 to 60 (default 5)")
        ->type_name("SECONDS");
    command->add_option("--output", given->output, "Where to write the result")->type_name("FILE");
    command->add_flag("--dry-run", given->dry_run, "Write nothing");
    command->add_flag("--json", given->json, "Show the result as a JSON object");
    command->add_option("--timeout", given->timeout, "Seconds that the host has to answer (default 10)")
        ->type_name("SECONDS");
    return {command, [given]() -> Command {
                return
                    [options = check(*given)](Context& context) { return run_calibrate(options, context); };
            }};
}

}  // namespace virt_power
