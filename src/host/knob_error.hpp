// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Why a knob of the host cannot be read, set or put back.
#ifndef VIRT_POWER_HOST_KNOB_ERROR_HPP
#define VIRT_POWER_HOST_KNOB_ERROR_HPP

#include <stdexcept>
#include <string>
#include <string_view>

namespace virt_power {

/// One for each of libvirt's codes, so that the patch need not look at the words.
enum class KnobErrorKind {
    InvalidArgument,   ///< it can never be right here: VIR_ERR_INVALID_ARG
    Unsupported,       ///< no driver, no such interface: VIR_ERR_OPERATION_UNSUPPORTED
    OperationInvalid,  ///< the host's state forbids it (offline, governor, firmware):
                       ///< VIR_ERR_OPERATION_INVALID
    Failed,            ///< the kernel refused, or a file failed: VIR_ERR_SYSTEM_ERROR
    Timeout,           ///< the kernel does not answer: VIR_ERR_OPERATION_TIMEOUT
};

/// what() is one sentence without a line's end: what failed, where, what to do.
class KnobError : public std::runtime_error {
public:
    KnobError(KnobErrorKind kind, const std::string& sentence) : std::runtime_error(sentence), kind_(kind) {}

    [[nodiscard]] KnobErrorKind kind() const { return kind_; }

private:
    KnobErrorKind kind_;
};

/// What a client gave, in quotation marks, for a sentence: cut, and without
/// anything that a log or a terminal could take for more than text.
std::string in_quotes(std::string_view text);

}  // namespace virt_power

#endif
