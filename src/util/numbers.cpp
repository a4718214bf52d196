// SPDX-License-Identifier: LGPL-2.1-or-later
#include "numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace virt_power {
namespace {

constexpr uint32_t max_cpu = 65535;

Error malformed(std::string message) { return {ErrorKind::Malformed, 0, std::move(message)}; }

}  // namespace

std::string_view trim(std::string_view text) {
    constexpr std::string_view space = " \t\r\n";
    size_t first = text.find_first_not_of(space);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(space) - first + 1);
}

Result<uint64_t> parse_u64(std::string_view text) {
    std::string_view digits = trim(text);
    uint64_t value = 0;
    const char* end = digits.data() + digits.size();
    auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (digits.empty() || error != std::errc{} || stop != end)
        return malformed(fmt::format("'{}' is not a number", digits.substr(0, 40)));
    return value;
}

Result<std::vector<uint32_t>> parse_cpu_list(std::string_view text) {
    std::vector<uint32_t> cpus;
    std::string_view rest = trim(text);
    while (!rest.empty()) {
        size_t comma = rest.find(',');
        std::string_view item = rest.substr(0, comma);
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        size_t dash = item.find('-');
        Result<uint64_t> first = parse_u64(item.substr(0, dash));
        Result<uint64_t> last = dash == std::string_view::npos ? first : parse_u64(item.substr(dash + 1));
        if (!first || !last || *first > *last || *last > max_cpu)
            return malformed(fmt::format("'{}' is not a list of CPUs", trim(text).substr(0, 40)));
        for (uint64_t cpu = *first; cpu <= *last; cpu++) cpus.push_back(static_cast<uint32_t>(cpu));
    }
    std::sort(cpus.begin(), cpus.end());
    cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
    return cpus;
}

std::string format_cpu_list(const std::vector<uint32_t>& cpus) {
    std::string text;
    for (size_t first = 0; first < cpus.size();) {
        size_t last = first;
        while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) last++;
        if (!text.empty()) text += ',';
        text +=
            first == last ? fmt::format("{}", cpus[first]) : fmt::format("{}-{}", cpus[first], cpus[last]);
        first = last + 1;
    }
    return text;
}

}  // namespace virt_power
