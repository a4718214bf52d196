// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The keyboard and the job control of a run that has a terminal to itself.
#ifndef VIRT_POWER_TOOL_TERMINAL_HPP
#define VIRT_POWER_TOOL_TERMINAL_HPP

#include <termios.h>

#include <optional>

namespace virt_power {

/// One at a time. While it lives, keys come without a newline and unseen, and SIGTSTP and SIGCONT
/// come through job_fd(): whoever draws must first leave the screen. A SIGTSTP that was ignored
/// stays so.
class Terminal {
public:
    Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    ~Terminal();

    /// Takes the keyboard, if that is a terminal whose foreground this process is in.
    void take_keyboard();

    /// Readable when keys were typed; -1 without a keyboard.
    [[nodiscard]] int key_fd() const { return keyboard_ ? 0 : -1; }

    /// Was q among the keys typed?
    bool quits();

    /// Readable after SIGTSTP or SIGCONT.
    [[nodiscard]] int job_fd() const { return job_fd_; }

    /// To be called when job_fd() is readable and the screen was left. Stops the process if that was
    /// asked for, and returns when it goes on.
    void follow_job();

private:
    void leave_keyboard();
    void stop();

    std::optional<termios> before_;
    bool keyboard_ = false;
    bool has_keyboard_ = true;  ///< false once it hung up
    int job_fd_;
};

}  // namespace virt_power

#endif
