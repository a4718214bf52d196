// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The words that recordings use for enumerators. They are part of the format.
#ifndef VIRT_POWER_RECORDING_WORDS_HPP
#define VIRT_POWER_RECORDING_WORDS_HPP

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "virt-power/result.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

inline constexpr std::string_view recording_format = "virt-power-recording";
inline constexpr uint64_t recording_version = 1;

template <typename Value, size_t N>
using Words = std::array<std::pair<std::string_view, Value>, N>;

inline constexpr Words<EnergyStatus, 6> status_words{{{"ok", EnergyStatus::Ok},
                                                      {"denied", EnergyStatus::Denied},
                                                      {"no-plugin", EnergyStatus::NoPlugin},
                                                      {"no-source", EnergyStatus::NoSource},
                                                      {"error", EnergyStatus::Error},
                                                      {"no-group", EnergyStatus::NoGroup}}};

inline constexpr Words<UsageSource, 2> usage_words{{{"bpf", UsageSource::Bpf}, {"proc", UsageSource::Proc}}};

inline constexpr Words<ErrorKind, 5> error_words{{{"unsupported", ErrorKind::Unsupported},
                                                  {"denied", ErrorKind::Denied},
                                                  {"malformed", ErrorKind::Malformed},
                                                  {"gone", ErrorKind::Gone},
                                                  {"transient", ErrorKind::Transient}}};

template <typename Value, size_t N>
constexpr std::string_view word_of(const Words<Value, N>& words, Value value) {
    for (const auto& [word, known] : words)
        if (known == value) return word;
    return {};
}

template <typename Value, size_t N>
constexpr std::optional<Value> value_of(const Words<Value, N>& words, std::string_view given) {
    for (const auto& [word, value] : words)
        if (word == given) return value;
    return std::nullopt;
}

}  // namespace virt_power

#endif
