// SPDX-License-Identifier: LGPL-2.1-or-later
#include "options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "values.hpp"

namespace virt_power {
namespace {

constexpr double shortest_delay_s = 0.1, longest_delay_s = 86400;
constexpr double shortest_timeout_s = 0.1, longest_timeout_s = 3600;
constexpr uint64_t most_ticks = 4294967295;

/// The value that belongs to a word, or an error that lists the words.
template <typename Value>
Result<Value> choose(std::string_view option, const std::string& word,
                     const std::vector<std::pair<std::string_view, Value>>& choices) {
    std::string words;
    for (const auto& [name, value] : choices) {
        if (name == word) return value;
        words += words.empty() ? "" : ", ";
        words += name;
    }
    return Error{ErrorKind::Malformed, 0, fmt::format("{} must be one of {}, not '{}'", option, words, word)};
}

}  // namespace

void declare_source_options(CLI::App& app, GivenOptions& given) {
    app.add_option("-c,--connect", given.uris, "Host to measure; may be given several times")
        ->type_name("URI")
        ->allow_extra_args(false);
    app.add_option("-d,--delay", given.delay, "Seconds between samples, 0.1 to 86400 (default 3)")
        ->type_name("SECONDS");
    app.add_flag("-r,--readonly", given.read_only, "Never ask for more than a read-only connection");
    app.add_option("--timeout", given.timeout, "Seconds that a host has to answer (default 10)")
        ->type_name("SECONDS");
}

void declare_output_options(CLI::App& app, GivenOptions& given) {
    app.add_option("-n,--count", given.count, "End after so many intervals")->type_name("N");
    app.add_option("-o,--sort", given.sort, "Order of the domains: watts (default), energy, cpu or name")
        ->type_name("KEY");
    app.add_option("--model", given.model, "How energy is divided: host-share (default) or vm-share")
        ->type_name("MODEL");
    app.add_option("--static", given.static_policy,
                   "What becomes of static power: separate (default), even, proportional or allocation")
        ->type_name("POLICY");
    app.add_option("--static-watts", given.static_watts,
                   "Static power, of each package or by zone; none: not even if measured")
        ->type_name("W|ZONE=W[,...]|none");
    app.add_flag("--json", given.json, "One JSON object per interval and host");
    app.add_flag("--csv", given.csv, "Comma-separated values with a header");
    app.add_option("DOMAIN", given.domains, "Show only these domains (names or UUIDs)")->type_name("");
}

Options check_options(const GivenOptions& given) {
    Options options;
    for (const std::string& uri : given.uris) {
        if (uri.empty()) throw UsageError{"--connect: the URI is empty"};
        if (std::find(options.uris.begin(), options.uris.end(), uri) != options.uris.end())
            throw UsageError{"--connect: " + uri + " is given twice"};
        options.uris.push_back(uri);
    }
    if (options.uris.empty()) options.uris.emplace_back();
    options.delay = must(parse_seconds("--delay", given.delay, shortest_delay_s, longest_delay_s));
    options.timeout = must(parse_seconds("--timeout", given.timeout, shortest_timeout_s, longest_timeout_s));
    if (given.count) options.count = must(parse_count("--count", *given.count, most_ticks));
    options.sort = must(choose<SortKey>("--sort", given.sort,
                                        {{"watts", SortKey::Watts},
                                         {"energy", SortKey::Energy},
                                         {"cpu", SortKey::Cpu},
                                         {"name", SortKey::Name}}));
    options.attribution.model = must(choose<Model>(
        "--model", given.model, {{"host-share", Model::HostShare}, {"vm-share", Model::VmShare}}));
    options.attribution.static_policy =
        must(choose<StaticPolicy>("--static", given.static_policy,
                                  {{"separate", StaticPolicy::Separate},
                                   {"even", StaticPolicy::Even},
                                   {"proportional", StaticPolicy::Proportional},
                                   {"allocation", StaticPolicy::Allocation}}));
    if (given.static_watts == "none")
        options.attribution.use_measured_static = false;
    else if (given.static_watts)
        options.attribution.static_uw = must(parse_static_watts(*given.static_watts), "--static-watts: ");
    for (const std::string& domain : given.domains) {
        if (domain.empty()) throw UsageError{"DOMAIN is empty"};
        if (domain.find("://") != std::string::npos)
            throw UsageError{"'" + domain + "' is a URI, not a domain: a host is given by --connect (-c)"};
    }
    options.domains = given.domains;
    if (given.json && given.csv) throw UsageError{"--json and --csv exclude each other"};
    options.output = given.json ? OutputKind::Json : given.csv ? OutputKind::Csv : OutputKind::Table;
    options.read_only = given.read_only;
    return options;
}

}  // namespace virt_power
