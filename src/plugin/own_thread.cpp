// SPDX-License-Identifier: LGPL-2.1-or-later
#include "own_thread.hpp"

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace virt_power {

void start_own_thread(std::function<void()> body) {
    sigset_t all{};
    sigset_t before{};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread([body = std::move(body)] {
            pthread_setname_np(pthread_self(), "host-power");
            body();
        }).detach();
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace virt_power
