// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Values of a parsed line, as recordings want them. All throw BadLine.
#ifndef VIRT_POWER_RECORDING_JSON_VALUE_HPP
#define VIRT_POWER_RECORDING_JSON_VALUE_HPP

#include <simdjson.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "line.hpp"

namespace virt_power {

using JsonValue = simdjson::dom::element;

template <typename Value>
Value must(simdjson::simdjson_result<Value> result, const char* wanted) {
    Value value;
    if (std::move(result).get(value) != simdjson::SUCCESS) throw BadLine{wanted};
    return value;
}

/// A whole number in the range of the type, exact.
template <typename Number>
Number number_of(JsonValue value) {
    using Wide = std::conditional_t<std::is_signed_v<Number>, int64_t, uint64_t>;
    Wide wide = must(value.get<Wide>(), "a whole number of its kind should be here");
    if (wide < std::numeric_limits<Number>::min() || wide > std::numeric_limits<Number>::max())
        throw BadLine{"a number is out of range"};
    return static_cast<Number>(wide);
}

template <typename Number>
std::optional<Number> number_or_null(JsonValue value) {
    if (value.is_null()) return std::nullopt;
    return number_of<Number>(value);
}

inline std::string_view string_of(JsonValue value) {
    return must(value.get_string(), "a string should be here");
}

inline bool boolean_of(JsonValue value) { return must(value.get_bool(), "true or false should be here"); }

/// Calls take(value) for each element.
template <typename Take>
void each(JsonValue value, Take take) {
    size_t count = 0;
    for (JsonValue item : must(value.get_array(), "an array should be here")) {
        if (++count > most_elements) throw BadLine{"an array has too many elements"};
        take(item);
    }
}

/// The elements of an array of a fixed form, one after the other; then end().
class Tuple {
public:
    explicit Tuple(JsonValue value)
        : array_(must(value.get_array(), "an array should be here")),
          at_(array_.begin()),
          stop_(array_.end()) {}

    JsonValue next() {
        if (!(at_ != stop_)) throw BadLine{"an array has too few elements"};
        JsonValue value = *at_;
        ++at_;
        return value;
    }
    void end() const {
        if (at_ != stop_) throw BadLine{"an array has too many elements"};
    }

private:
    simdjson::dom::array array_;
    simdjson::dom::array::iterator at_, stop_;
};

}  // namespace virt_power

#endif
