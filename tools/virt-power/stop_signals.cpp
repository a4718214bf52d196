// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stop_signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace virt_power {
namespace {

// A handler can be given nothing else.
int stop_writer = -1;
int resize_writer = -1;
int job_writer = -1;

void on_signal(int number) {
    int saved = errno;
    char byte = 0;
    // A full pipe is readable already.
    [[maybe_unused]] ssize_t done = write(number == SIGWINCH ? resize_writer : stop_writer, &byte, 1);
    errno = saved;
}

void on_job_signal(int number) {
    int saved = errno;
    char byte = number == SIGTSTP ? job_stop : 'c';
    [[maybe_unused]] ssize_t done = write(job_writer, &byte, 1);
    errno = saved;
}

int open_pipe(int& writer) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe2");
    writer = ends[1];
    return ends[0];
}

void handle(int number, int flags, void (*handler)(int) = on_signal) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigaction(number, &action, nullptr);
}

}  // namespace

SignalFds install_signals() {
    SignalFds fds;
    fds.stop = open_pipe(stop_writer);
    fds.resize = open_pipe(resize_writer);
    // Without SA_RESTART: a write that blocks must come back.
    for (int number : {SIGINT, SIGTERM, SIGQUIT}) handle(number, 0);
    // Under nohup it must outlive its terminal.
    struct sigaction hangup {};
    sigaction(SIGHUP, nullptr, &hangup);
    if (hangup.sa_handler != SIG_IGN) handle(SIGHUP, 0);
    handle(SIGWINCH, SA_RESTART);
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
    sigaction(SIGXFSZ, &ignore, nullptr);
    return fds;
}

int take_job_signals() {
    static const int reader = open_pipe(job_writer);
    struct sigaction now {};
    sigaction(SIGTSTP, nullptr, &now);
    // Restarted: a call of libvirt's that is under way knows nothing of this.
    if (now.sa_handler != SIG_IGN) handle(SIGTSTP, SA_RESTART, on_job_signal);
    handle(SIGCONT, SA_RESTART, on_job_signal);
    return reader;
}

void give_back_job_signals() {
    struct sigaction now {};
    sigaction(SIGTSTP, nullptr, &now);
    if (now.sa_handler == on_job_signal) handle(SIGTSTP, 0, SIG_DFL);
    handle(SIGCONT, 0, SIG_DFL);
}

bool keep_standard_streams() {
    bool has_output = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        // The lowest free number is this one: those below are open.
        if (open("/dev/null", O_RDWR) < 0) return false;  // NOLINT: stays open on purpose
    }
    return has_output;
}

}  // namespace virt_power
