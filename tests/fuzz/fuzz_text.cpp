// SPDX-License-Identifier: LGPL-2.1-or-later
// Names that come from others, on their way to a terminal, to JSON and to CSV.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "utf8.hpp"
#include "virt-power/sinks.hpp"

using namespace virt_power;

extern const char* const fuzz_seeds;
const char* const fuzz_seeds =
    "plain\fline\nbreak\f\x1b[31mred\x1b]0;title\x07\f\xe2\x80\xae"
    "bidi\fgr\xc3\xb6\xc3\x9f"
    "e\f\xe6\x97\xa5\xe6\x9c\xac\f\xff\xfe\f\xed\xa0\x80\f\xf0\x9f\x98\x80\f\xf3\xa0\x81\x81\f\"quote\", "
    "\\back\f";

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void require_harmless(std::string_view text) {
    while (!text.empty()) {
        CodePoint c = first_code_point(text);
        require(c.valid && c.bytes <= text.size() && !is_unsafe(c.value));
        text.remove_prefix(c.bytes);
    }
}

/// Takes the escapes back.
std::string unescaped(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            out += text[i];
            continue;
        }
        char kind = text.at(++i);
        size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
        if (digits == 0) {
            out += kind == 'n' ? '\n' : kind == 't' ? '\t' : kind == 'r' ? '\r' : kind;
            continue;
        }
        auto value = static_cast<char32_t>(std::stoul(std::string(text.substr(i + 1, digits)), nullptr, 16));
        i += digits;
        if (kind == 'x' || value < 0x80) {
            out += static_cast<char>(value);
        } else {
            if (value > 0xffff) out += static_cast<char>(0xf0 | (value >> 18));
            if (value > 0xffff) out += static_cast<char>(0x80 | ((value >> 12) & 0x3f));
            if (value > 0x7ff && value <= 0xffff) out += static_cast<char>(0xe0 | (value >> 12));
            if (value > 0x7ff) out += static_cast<char>(0x80 | ((value >> 6) & 0x3f));
            if (value <= 0x7ff) out += static_cast<char>(0xc0 | (value >> 6));
            out += static_cast<char>(0x80 | (value & 0x3f));
        }
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    std::string safe = escape_for_terminal(text);
    require_harmless(safe);
    require(unescaped(safe) == text);
    require_harmless(csv_field(text));
    std::string json;
    append_json_string(json, text);
    require_harmless(json);
    require(nlohmann::json::parse(json).is_string());
    for (size_t columns : {size_t{0}, size_t{1}, size_t{7}, size_t{80}}) {
        std::string cut = clip(safe, columns);
        require_harmless(cut);
        require(display_width(cut) <= columns);
    }
    return 0;
}
