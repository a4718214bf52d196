// SPDX-License-Identifier: LGPL-2.1-or-later
#include "usage_errors.hpp"

#include <CLI/CLI.hpp>
#include <string_view>
#include <vector>

namespace virt_power {
namespace {

std::string mismatch(const std::string& text) {
    std::string option = text.substr(0, text.find_first_of(": "));
    if (text.ends_with("missing")) return option + " needs a value";
    if (text.ends_with("flag override"))
        return (option.size() == 1 ? "-" : "--") + option + " takes no value";
    if (text.find("At Most 1 ") != std::string::npos) return option + " is given more than once";
    return text;
}

std::string extras(const std::string& text, const CLI::App& app) {
    std::vector<std::string> left = app.remaining(true);
    if (left.empty()) return text;
    const std::string& first = left.front();
    return (first.starts_with('-') ? "unknown option '" : "unexpected argument '") + first + "'";
}

std::string required(const std::string& text) {
    constexpr std::string_view ending = " is required";
    if (!text.ends_with(ending)) return text;
    return text.substr(0, text.size() - ending.size()) + " is missing";
}

}  // namespace

std::string in_our_words(const CLI::ParseError& error, const CLI::App& app) {
    std::string text = error.what();
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error)) return mismatch(text);
    if (dynamic_cast<const CLI::ExtrasError*>(&error)) return extras(text, app);
    if (dynamic_cast<const CLI::RequiredError*>(&error)) return required(text);
    return text;
}

void refuse_flag_values(CLI::App& app) {
    for (CLI::Option* option : app.get_options())
        if (option->get_items_expected_max() == 0) option->disable_flag_override();
    for (CLI::App* subcommand : app.get_subcommands({})) refuse_flag_values(*subcommand);
}

}  // namespace virt_power
