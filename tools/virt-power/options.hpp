// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The options that commands share: where samples come from, and what is made of them.
#ifndef VIRT_POWER_TOOL_OPTIONS_HPP
#define VIRT_POWER_TOOL_OPTIONS_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "virt-power/pipeline.hpp"
#include "virt-power/sinks.hpp"

namespace CLI {
class App;
}

namespace virt_power {

enum class OutputKind { Table, Json, Csv };

struct Options {
    std::vector<std::string> uris;  ///< one empty string where none was given
    std::chrono::milliseconds delay{3000};
    std::optional<uint64_t> count;
    SortKey sort = SortKey::Watts;
    std::vector<std::string> domains;
    AttributionOptions attribution;
    OutputKind output = OutputKind::Table;
    bool read_only = false;
    std::chrono::milliseconds timeout{10000};
};

/// As given, before the checks that CLI11 does not do.
struct GivenOptions {
    std::vector<std::string> uris, domains;
    std::string delay = "3", timeout = "10", sort = "watts", model = "host-share";
    std::string static_policy = "separate";
    std::optional<std::string> count, static_watts;
    bool json = false, csv = false, read_only = false;
};

/// Thrown by what checks a command line: one message, without the program's name.
struct UsageError {
    std::string message;
};

/// The value, or its error as a UsageError.
template <typename T>
T must(Result<T> result, std::string_view prefix = "") {
    if (!result) throw UsageError{std::string(prefix) + result.error().message};
    return *std::move(result);
}

/// -c, -d, -r and --timeout. `given` is filled when `app` parses.
void declare_source_options(CLI::App& app, GivenOptions& given);

/// -n, -o, model, static power, kind of output and DOMAIN, which takes all that is left.
void declare_output_options(CLI::App& app, GivenOptions& given);

/// Throws UsageError.
Options check_options(const GivenOptions& given);

}  // namespace virt_power

#endif
