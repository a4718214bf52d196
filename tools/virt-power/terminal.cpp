// SPDX-License-Identifier: LGPL-2.1-or-later
#include "terminal.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "stop_signals.hpp"

namespace virt_power {
namespace {

/// Else to change its settings would stop the process.
bool in_foreground() { return tcgetpgrp(STDIN_FILENO) == getpgrp(); }

}  // namespace

Terminal::Terminal() : job_fd_(take_job_signals()) { take_keyboard(); }

Terminal::~Terminal() {
    leave_keyboard();
    give_back_job_signals();
}

void Terminal::take_keyboard() {
    if (keyboard_ || !has_keyboard_ || !in_foreground()) return;
    termios mode{};
    if (tcgetattr(STDIN_FILENO, &mode) != 0) return;
    // A shell may have given back the mode that it found when this process was stopped: ours.
    if (!before_ || (mode.c_lflag & ICANON) != 0) before_ = mode;
    mode.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    // Does not wait for output, which may be held up.
    keyboard_ = tcsetattr(STDIN_FILENO, TCSANOW, &mode) == 0;
}

void Terminal::leave_keyboard() {
    if (keyboard_ && in_foreground()) tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
    keyboard_ = false;
}

bool Terminal::quits() {
    std::array<char, 64> keys{};
    ssize_t size = read(STDIN_FILENO, keys.data(), keys.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return false;
    if (size <= 0) {
        keyboard_ = has_keyboard_ = false;
        return false;
    }
    // What follows ESC belongs to a key that sends several characters.
    const char* end = std::find(keys.data(), keys.data() + size, '\x1b');
    return std::find(static_cast<const char*>(keys.data()), end, 'q') != end;
}

void Terminal::stop() {
    leave_keyboard();
    give_back_job_signals();
    // Where nobody could make it go on, the kernel does not stop it.
    raise(SIGTSTP);
    take_job_signals();
}

void Terminal::follow_job() {
    bool stops = false;
    std::array<char, 64> signals{};
    ssize_t size = 0;
    while ((size = read(job_fd_, signals.data(), signals.size())) > 0)
        stops = stops || std::find(signals.data(), signals.data() + size, job_stop) != signals.data() + size;
    if (stops) stop();
    // A shell has settings of its own meanwhile.
    keyboard_ = false;
    take_keyboard();
}

}  // namespace virt_power
