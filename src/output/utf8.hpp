// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Text that comes from others: taken apart by code points, made harmless.
#ifndef VIRT_POWER_OUTPUT_UTF8_HPP
#define VIRT_POWER_OUTPUT_UTF8_HPP

#include <cstddef>
#include <string>
#include <string_view>

namespace virt_power {

struct CodePoint {
    char32_t value = 0;  ///< the byte itself where it is not valid
    size_t bytes = 1;
    bool valid = false;
};

/// The first code point of a text that is not empty. Overlong forms,
/// surrogates and what is above U+10FFFF are not valid.
CodePoint first_code_point(std::string_view text);

/// Does it control a terminal or the direction or layout of text, or is it not seen, or taken for a space?
bool is_unsafe(char32_t code_point);

/// Columns that a text without control characters takes on a terminal.
size_t display_width(std::string_view text);

/// Cut to so many columns, the last one a `~` if anything was cut.
std::string clip(std::string_view text, size_t columns);

/// Appends the text in quotes. Harmless to a terminal too; an invalid byte becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// The text itself, in quotes where CSV (RFC 4180) needs them. Only what is unsafe is escaped;
/// a backslash is not, so that other text stays what it was.
std::string csv_field(std::string_view text);

}  // namespace virt_power

#endif
