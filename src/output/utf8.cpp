// SPDX-License-Identifier: LGPL-2.1-or-later
#include "utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "virt-power/sinks.hpp"

namespace virt_power {
namespace {

struct Range {
    char32_t first, last;
};

template <size_t N>
bool is_in(const std::array<Range, N>& ranges, char32_t c) {
    return std::any_of(ranges.begin(), ranges.end(), [c](Range r) { return c >= r.first && c <= r.last; });
}

/// C0, DEL, C1; marks and overrides of direction; separators of lines; what is not seen or looks
/// like a space and is none (fillers, selectors, blanks); tags; noncharacters.
constexpr std::array<Range, 23> unsafe_ranges{
    {{0x00, 0x1f},       {0x7f, 0xa0},       {0xad, 0xad},      {0x34f, 0x34f},   {0x61c, 0x61c},
     {0x115f, 0x1160},   {0x1680, 0x1680},   {0x17b4, 0x17b5},  {0x180b, 0x180f}, {0x2000, 0x200f},
     {0x2028, 0x202f},   {0x205f, 0x206f},   {0x2800, 0x2800},  {0x3000, 0x3000}, {0x3164, 0x3164},
     {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},  {0xfff0, 0xfffc}, {0x1bca0, 0x1bca3},
     {0x1d159, 0x1d159}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}}};

constexpr std::array<Range, 8> wide_ranges{{{0x1100, 0x115f},
                                            {0x2e80, 0x303e},
                                            {0x3041, 0xa4cf},
                                            {0xac00, 0xd7a3},
                                            {0xf900, 0xfaff},
                                            {0xfe30, 0xfe6f},
                                            {0xff00, 0xff60},
                                            {0x1f300, 0x1faff}}};

constexpr std::array<Range, 6> combining_ranges{
    {{0x300, 0x36f}, {0x483, 0x489}, {0x591, 0x5bd}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}}};

size_t width_of(char32_t c) {
    if (is_in(combining_ranges, c)) return 0;
    return is_in(wide_ranges, c) || (c >= 0x20000 && c <= 0x3fffd) ? 2 : 1;
}

/// Printable ASCII, which is one column a byte and harmless everywhere. Most text is.
bool is_plain(char c) { return c >= ' ' && c <= '~'; }
bool is_plain(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return is_plain(c); });
}

uint8_t byte_at(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

}  // namespace

CodePoint first_code_point(std::string_view text) {
    uint8_t lead = byte_at(text, 0);
    CodePoint bad{lead, 1, false};
    if (lead < 0x80) return {lead, 1, true};
    size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return bad;
    char32_t value = lead & (0x7fU >> bytes);
    for (size_t i = 1; i < bytes; ++i) {
        if ((byte_at(text, i) & 0xc0) != 0x80) return bad;
        value = (value << 6) | (byte_at(text, i) & 0x3fU);
    }
    bool overlong = (bytes == 3 && value < 0x800) || (bytes == 4 && value < 0x10000);
    if (overlong || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return bad;
    return {value, bytes, true};
}

bool is_unsafe(char32_t code_point) {
    return is_in(unsafe_ranges, code_point) || (code_point & 0xfffe) == 0xfffe;
}

size_t display_width(std::string_view text) {
    if (is_plain(text)) return text.size();
    size_t width = 0;
    while (!text.empty()) {
        CodePoint c = first_code_point(text);
        width += width_of(c.value);
        text.remove_prefix(c.bytes);
    }
    return width;
}

std::string clip(std::string_view text, size_t columns) {
    if (display_width(text) <= columns) return std::string(text);
    if (columns == 0) return {};
    size_t used = 0, bytes = 0;
    while (true) {
        CodePoint c = first_code_point(text.substr(bytes));
        size_t width = width_of(c.value);
        if (used + width > columns - 1) break;
        used += width;
        bytes += c.bytes;
    }
    return std::string(text.substr(0, bytes)) + "~";
}

namespace {

/// Without `unambiguous` a backslash stays as it is, so that text without anything unsafe does too.
std::string escape(std::string_view text, bool unambiguous) {
    if (is_plain(text) && (!unambiguous || text.find('\\') == std::string_view::npos))
        return std::string(text);
    std::string out;
    out.reserve(text.size());
    auto put = std::back_inserter(out);
    while (!text.empty()) {
        CodePoint c = first_code_point(text);
        auto value = static_cast<uint32_t>(c.value);
        if (value == '\\')
            out += unambiguous ? "\\\\" : "\\";
        else if (value == '\n')
            out += "\\n";
        else if (value == '\t')
            out += "\\t";
        else if (value == '\r')
            out += "\\r";
        else if (c.valid && !is_unsafe(c.value))
            out += text.substr(0, c.bytes);
        else if (!c.valid || value < 0x80)
            fmt::format_to(put, "\\x{:02x}", value);
        else
            fmt::format_to(put, fmt::runtime(value > 0xffff ? "\\U{:08x}" : "\\u{:04x}"), value);
        text.remove_prefix(c.bytes);
    }
    return out;
}

}  // namespace

std::string escape_for_terminal(std::string_view text) { return escape(text, true); }

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    auto put = std::back_inserter(out);
    while (!text.empty()) {
        auto special = std::find_if(text.begin(), text.end(),
                                    [](char c) { return !is_plain(c) || c == '"' || c == '\\'; });
        auto plain = static_cast<size_t>(special - text.begin());
        out += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.empty()) break;
        CodePoint c = first_code_point(text);
        auto value = static_cast<uint32_t>(c.value);
        if (!c.valid)
            out += "\\ufffd";
        else if (value == '"' || value == '\\')
            fmt::format_to(put, "\\{}", static_cast<char>(value));
        else if (value == '\n')
            out += "\\n";
        else if (is_unsafe(c.value) && value > 0xffff)
            fmt::format_to(put, "\\u{:04x}\\u{:04x}", 0xd7c0U + (value >> 10), 0xdc00U + (value & 0x3ffU));
        else if (is_unsafe(c.value))
            fmt::format_to(put, "\\u{:04x}", value);
        else
            out += text.substr(0, c.bytes);
        text.remove_prefix(c.bytes);
    }
    out += '"';
}

std::string csv_field(std::string_view text) {
    std::string safe = escape(text, false);
    if (safe.find_first_of("\",") == std::string::npos) return safe;
    std::string out = "\"";
    for (char c : safe) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + "\"";
}

}  // namespace virt_power
