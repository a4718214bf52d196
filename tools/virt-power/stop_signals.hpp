// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Signals as readable descriptors, and standard streams that are safe to use.
#ifndef VIRT_POWER_TOOL_STOP_SIGNALS_HPP
#define VIRT_POWER_TOOL_STOP_SIGNALS_HPP

namespace virt_power {

struct SignalFds {
    int stop = -1;    ///< readable for ever after SIGINT, SIGTERM, SIGHUP (unless ignored) or SIGQUIT
    int resize = -1;  ///< readable after SIGWINCH; read it empty
};

/// Once per process. SIGPIPE and SIGXFSZ are ignored: a write says EPIPE or EFBIG.
SignalFds install_signals();

/// SIGTSTP and SIGCONT as bytes of the descriptor that it returns, job_stop for SIGTSTP, until they
/// are given back. A SIGTSTP that is ignored stays so.
int take_job_signals();
void give_back_job_signals();
inline constexpr char job_stop = 'z';

/// Opens /dev/null for standard streams that are closed, so that no socket
/// takes their number. False if standard output was closed.
bool keep_standard_streams();

}  // namespace virt_power

#endif
