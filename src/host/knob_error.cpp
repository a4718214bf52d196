// SPDX-License-Identifier: LGPL-2.1-or-later
#include "knob_error.hpp"

namespace virt_power {

std::string in_quotes(std::string_view text) {
    constexpr size_t most = 60;
    std::string out = "'";
    for (char c : text.substr(0, most)) out += c >= 0x20 && c < 0x7f ? c : '?';
    out += text.size() > most ? "...'" : "'";
    return out;
}

}  // namespace virt_power
