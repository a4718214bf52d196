// SPDX-License-Identifier: LGPL-2.1-or-later
#include "text.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>

namespace virt_power {

void append_text(std::string& out, std::string_view text) {
    if (simdjson::validate_utf8(text)) {
        constexpr bool ascii = true;
        out += nlohmann::json(text).dump(-1, ' ', ascii);
        return;
    }
    out += "{\"hex\":\"";
    for (char c : text) fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<uint8_t>(c));
    out += "\"}";
}

std::optional<std::string> bytes_of_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    std::string bytes;
    for (size_t i = 0; i < hex.size(); i += 2) {
        uint8_t value = 0;
        const char* at = hex.data() + i;
        auto [stop, error] = std::from_chars(at, at + 2, value, 16);
        if (error != std::errc{} || stop != at + 2) return std::nullopt;
        bytes += static_cast<char>(value);
    }
    return bytes;
}

}  // namespace virt_power
