// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tool.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <variant>
#include <vector>

#include "calibrate.hpp"
#include "host_names.hpp"
#include "monitor.hpp"
#include "options.hpp"
#include "own_calibration.hpp"
#include "record.hpp"
#include "replay.hpp"
#include "usage_errors.hpp"

namespace virt_power {
namespace {

/// What to do instead of running: print to stdout or stderr and end.
struct Ending {
    int status = 0;
    std::string output;  ///< help or version
    std::string error;   ///< one message
};

Ending usage_error(const CLI::App& app, const std::string& message) {
    constexpr size_t longest = 400;  // an argument may be as long as one likes
    std::string name;
    for (const CLI::App* chosen : app.get_subcommands()) name += " " + chosen->get_name();
    return {2, "",
            fmt::format("virt-power: {} (see virt-power{} --help)\n",
                        escape_for_terminal(shortened(message, longest)), name)};
}

/// What stands before a subcommand would be lost: it has options of its own.
void refuse_mixture(const CLI::App& app, const CLI::App& chosen) {
    for (const CLI::Option* option : app.get_options()) {
        if (option->count() == 0) continue;
        const std::string& name = chosen.get_name();
        if (option->get_positional())
            throw UsageError{fmt::format("a domain of the name '{}' is given after --", name)};
        throw UsageError{fmt::format("{} stands before '{}': options follow it", option->get_name(), name)};
    }
}

std::variant<Command, Ending> parse(int argc, const char* const* argv) {
    CLI::App app("Shows what each virtual machine of libvirt hosts draws, in watts and joules.",
                 "virt-power");
    GivenOptions given;
    bool version = false;
    declare_source_options(app, given);
    declare_output_options(app, given);
    app.add_flag("-V,--version", version, "Print the version and end");
    const std::vector<Subcommand> subcommands{declare_calibrate(app), declare_record(app),
                                              declare_replay(app)};
    app.require_subcommand(0, 1);
    refuse_flag_values(app);
    try {
        app.parse(argc, argv);
        if (version) return Ending{0, "virt-power " VIRT_POWER_VERSION "\n", ""};
        for (const Subcommand& subcommand : subcommands) {
            if (!subcommand.app->parsed()) continue;
            refuse_mixture(app, *subcommand.app);
            return subcommand.check();
        }
        return Command(
            [options = check_options(given)](Context& context) { return run_monitor(options, context); });
    } catch (const CLI::CallForHelp&) {
        return Ending{0, app.help(), ""};
    } catch (const CLI::ParseError& error) {
        return usage_error(app, in_our_words(error, app));
    } catch (const UsageError& error) {
        return usage_error(app, error.message);
    }
}

int closed_output() {
    fmt::print(stderr, "virt-power: standard output is closed\n");
    return 1;
}

int print(const std::string& text) {
    bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    if (written && std::fflush(stdout) == 0) return 0;
    fmt::print(stderr, "virt-power: cannot write the output: {}\n", std::strerror(errno));
    return 1;
}

}  // namespace

int run_tool(int argc, const char* const* argv, const SourceFactory& make_source) {
    bool has_output = keep_standard_streams();
    std::variant<Command, Ending> parsed = parse(argc, argv);
    if (const auto* ending = std::get_if<Ending>(&parsed)) {
        fmt::print(stderr, "{}", ending->error);
        if (ending->output.empty()) return ending->status;
        return has_output ? print(ending->output) : closed_output();
    }
    if (!has_output) return closed_output();
    Context context{with_own_calibrations(make_source), install_signals(), false, make_source};
    int status = std::get<Command>(parsed)(context);
    std::fflush(stderr);
    // A thread that waits for a host must not hold up the end, nor run while
    // the process is taken down.
    if (context.busy) _exit(status);
    return status;
}

}  // namespace virt_power
