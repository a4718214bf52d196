// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What stands behind the keys of a line. All throw BadLine.
#ifndef VIRT_POWER_RECORDING_LINE_ITEMS_HPP
#define VIRT_POWER_RECORDING_LINE_ITEMS_HPP

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "json_value.hpp"
#include "line.hpp"
#include "words.hpp"

namespace virt_power {

template <typename Value, size_t N>
Value word_in(JsonValue given, const Words<Value, N>& words) {
    std::string_view word = string_of(given);
    std::optional<Value> value = value_of(words, word);
    if (!value) throw BadLine{fmt::format("a word that is not known: '{}'", word)};
    return *value;
}

template <typename Item, typename Take>
void list(JsonValue value, std::vector<Item>& out, Take take) {
    out.clear();
    each(value, [&](JsonValue item) { out.push_back(take(item)); });
}

/// A string, or bytes that are no UTF-8.
std::string text_of(JsonValue value);

/// [ns, other|null, ns, other|null ...]
void usages(JsonValue value, std::optional<uint64_t> Usage::*other, std::vector<Usage>& out);
void usage_lists(JsonValue value, std::optional<uint64_t> Usage::*other, Lists<Usage>& out);
void figure_lists(JsonValue value, Lists<std::optional<uint64_t>>& out);

std::optional<Weighing> weighing_of(JsonValue value);
About about_of(JsonValue value);
ZoneFacts zone_of(JsonValue value);
NumberedDomain domain_of(JsonValue value);
ReadingFacts reading_of(JsonValue value);
ZoneCounter counter_of(JsonValue value);

}  // namespace virt_power

#endif
