// SPDX-License-Identifier: LGPL-2.1-or-later
#include "libbpf_messages.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

/// The last one says why something failed.
thread_local std::string last_message;

int keep_message(enum libbpf_print_level level, const char* format, va_list arguments) {
    if (level != LIBBPF_WARN) return 0;
    std::array<char, 512> text{};
    int size = vsnprintf(text.data(), text.size(), format, arguments);
    if (size > 0) last_message = trim(text.data());
    return size;
}

}  // namespace

LibbpfMessages::LibbpfMessages() : before_(libbpf_set_print(keep_message)) { last_message.clear(); }
LibbpfMessages::~LibbpfMessages() { libbpf_set_print(before_); }

Error libbpf_error(int error_number, std::string_view operation) {
    ErrorKind kind = ErrorKind::Unsupported;
    if (error_number == EPERM || error_number == EACCES) kind = ErrorKind::Denied;
    if (error_number == EMFILE || error_number == ENFILE || error_number == ENOMEM)
        kind = ErrorKind::Transient;
    std::string detail = last_message.empty() ? "" : fmt::format(" ({})", last_message);
    return {kind, error_number,
            fmt::format("cannot {} the BPF program: {}{}", operation, strerrordesc_np(error_number), detail)};
}

}  // namespace virt_power
