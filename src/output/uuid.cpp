// SPDX-License-Identifier: LGPL-2.1-or-later
#include "uuid.hpp"

namespace virt_power {

std::optional<std::string> canonical_uuid(std::string_view text) {
    constexpr size_t digits_wanted = 32;
    constexpr std::string_view hex = "0123456789abcdef";
    std::string uuid;
    size_t digits = 0;
    bool dash_allowed = false;
    for (char c : text) {
        if (c == '-' && dash_allowed) {
            dash_allowed = false;
            continue;
        }
        char low = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
        if (digits == digits_wanted || hex.find(low) == std::string_view::npos) return std::nullopt;
        if (digits == 8 || digits == 12 || digits == 16 || digits == 20) uuid += '-';
        uuid += low;
        ++digits;
        dash_allowed = digits % 2 == 0 && digits < digits_wanted;
    }
    if (digits != digits_wanted) return std::nullopt;
    return uuid;
}

}  // namespace virt_power
