// SPDX-License-Identifier: LGPL-2.1-or-later
#include "values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace virt_power {
namespace {

Error wrong(std::string message) { return {ErrorKind::Malformed, 0, std::move(message)}; }

bool all_digits(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<double> decimal(std::string_view text, double least, double most) {
    double value = 0;
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (text.empty() || error != std::errc{} || stop != end || !(value >= least && value <= most))
        return std::nullopt;
    return value;
}

}  // namespace

Result<uint64_t> parse_watts(std::string_view text) {
    constexpr size_t most_whole = 7, most_decimals = 6;
    constexpr uint64_t most_uw = 1'000'000'000'000;
    size_t dot = text.find('.');
    std::string_view whole = text.substr(0, dot);
    std::string_view decimals = dot == std::string_view::npos ? "" : text.substr(dot + 1);
    bool formed = !whole.empty() && all_digits(whole) && all_digits(decimals) &&
                  (dot == std::string_view::npos || !decimals.empty());
    if (!formed || whole.size() > most_whole || decimals.size() > most_decimals)
        return wrong(
            fmt::format("'{}' is not a number of watts from 0 to 1000000 with up to 6 decimals", text));
    std::string digits(whole);
    digits += decimals;
    digits.append(most_decimals - decimals.size(), '0');
    uint64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (value > most_uw) return wrong(fmt::format("'{}' is more than 1000000 watts", text));
    return value;
}

Result<std::map<std::string, uint64_t, std::less<>>> parse_static_watts(std::string_view text) {
    std::map<std::string, uint64_t, std::less<>> result;
    bool more = true;
    while (more) {
        size_t comma = text.find(',');
        std::string_view item = text.substr(0, comma);
        more = comma != std::string_view::npos;
        if (more) text.remove_prefix(comma + 1);
        size_t equals = item.rfind('=');
        std::string zone(equals == std::string_view::npos ? "" : item.substr(0, equals));
        if (equals == 0) return wrong("a zone's name is missing before '='");
        Result<uint64_t> watts =
            parse_watts(equals == std::string_view::npos ? item : item.substr(equals + 1));
        if (!watts) return watts.error();
        if (!result.emplace(zone, *watts).second)
            return wrong(zone.empty() ? "watts for all packages are given twice"
                                      : "zone '" + zone + "' is given twice");
    }
    return result;
}

Result<std::chrono::milliseconds> parse_seconds(std::string_view option, std::string_view text, double least,
                                                double most) {
    std::optional<double> value = decimal(text, least, most);
    if (!value)
        return wrong(fmt::format("{} must be from {} to {} seconds, not '{}'", option, least, most, text));
    return std::chrono::milliseconds(std::llround(*value * 1000));
}

Result<double> parse_percent(std::string_view option, std::string_view text, double least, double most) {
    if (std::optional<double> value = decimal(text, least, most)) return *value;
    return wrong(fmt::format("{} must be from {} to {} percent, not '{}'", option, least, most, text));
}

Result<uint64_t> parse_count(std::string_view option, std::string_view text, uint64_t most) {
    uint64_t value = 0;
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, value);
    if (text.empty() || error != std::errc{} || stop != end || value < 1 || value > most)
        return wrong(fmt::format("{} must be a whole number from 1 to {}, not '{}'", option, most, text));
    return value;
}

}  // namespace virt_power
