// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Result<T>: a value or an Error. Shaped so that std::expected can replace it.
#ifndef VIRT_POWER_RESULT_HPP
#define VIRT_POWER_RESULT_HPP

#include <string>
#include <utility>
#include <variant>

namespace virt_power {

/// Why a call failed, as far as the caller can act on it.
enum class ErrorKind {
    Unsupported,  ///< this host, kernel or daemon has no such thing
    Denied,       ///< not permitted; the message names the remedy
    Malformed,    ///< what was read or given is not of the form that it must have
    Gone,         ///< it was there and is no more (a zone, a process, a daemon)
    Transient,    ///< may succeed when tried again
};

struct Error {
    ErrorKind kind = ErrorKind::Transient;
    int error_number = 0;  ///< errno, or 0
    std::string message;   ///< what failed, where, and what to do; one line
};

/// A value or an Error. Not thread-safe, like the types that it holds.
template <typename T>
class [[nodiscard]] Result {
public:
    using value_type = T;

    Result(T value) : data_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : data_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool has_value() const { return data_.index() == 0; }
    explicit operator bool() const { return has_value(); }

    /// Undefined without a value, as std::expected.
    T& operator*() & { return *std::get_if<0>(&data_); }
    const T& operator*() const& { return *std::get_if<0>(&data_); }
    T&& operator*() && { return std::move(*std::get_if<0>(&data_)); }
    T* operator->() { return std::get_if<0>(&data_); }
    const T* operator->() const { return std::get_if<0>(&data_); }

    /// Undefined with a value.
    [[nodiscard]] const Error& error() const { return *std::get_if<1>(&data_); }

private:
    std::variant<T, Error> data_;
};

/// The result of a call that only succeeds or fails.
using Status = Result<std::monostate>;

inline Status ok() { return Status(std::monostate{}); }

}  // namespace virt_power

#endif
