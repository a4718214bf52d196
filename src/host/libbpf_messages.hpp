// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What libbpf says, for an error's message. Nothing else in the daemon uses libbpf.
#ifndef VIRT_POWER_HOST_LIBBPF_MESSAGES_HPP
#define VIRT_POWER_HOST_LIBBPF_MESSAGES_HPP

#include <bpf/libbpf.h>

#include <string_view>

#include "virt-power/result.hpp"

namespace virt_power {

/// Takes libbpf's messages of this thread for as long as it lives, instead of stderr.
class LibbpfMessages {
public:
    LibbpfMessages();
    ~LibbpfMessages();
    LibbpfMessages(const LibbpfMessages&) = delete;
    LibbpfMessages& operator=(const LibbpfMessages&) = delete;

private:
    libbpf_print_fn_t before_;
};

/// Denied, or Unsupported, with libbpf's last message.
Error libbpf_error(int error_number, std::string_view operation);

}  // namespace virt_power

#endif
