// SPDX-License-Identifier: LGPL-2.1-or-later
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>

#include "workloads.hpp"

namespace virt_power::bench {
namespace {

/// As large as what a core's first cache holds, so that what is displaced there is paid for.
std::array<uint64_t, 4096> numbers_to_mix{};

void work(uint64_t steps) {
    uint64_t mixed = 1;
    for (uint64_t step = 0; step < steps; step++) {
        uint64_t& number = numbers_to_mix[step % numbers_to_mix.size()];
        mixed = (mixed ^ number) * 6364136223846793005U + 1;
        number = mixed;
    }
}

uint64_t* shared_number() {
    void* memory =
        ::mmap(nullptr, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("no shared memory");
    return static_cast<uint64_t*>(memory);
}

uint64_t voluntary_switches() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_nvcsw);
}

}  // namespace

Child ProcessPair::start_peer(int cpu) {
    return Child([this, cpu] {
        take_cpu(cpu);
        while (true) {
            there_.take();
            work(*steps_);
            back_.give();
        }
    });
}

ProcessPair::ProcessPair(int cpu) : steps_(shared_number()), alone_(take_cpu(cpu)), peer_(start_peer(cpu)) {
    *steps_ = 10'000;
    adjust();
}

void ProcessPair::adjust() {
    constexpr uint64_t trip_ns = 2 * ns_per_s / switches_per_s;
    for (int attempt = 0; attempt < 5; attempt++) {
        Done done = run_trips(100);
        *steps_ = std::max<uint64_t>(1, *steps_ * 100 * trip_ns / done.cpu_ns);
    }
}

Done ProcessPair::run(uint64_t time_ns) {
    (void)run_trips(10);  // the caches are ours again
    return run_trips(time_ns * switches_per_s / 2 / ns_per_s);
}

Done ProcessPair::run_trips(uint64_t trips) {
    uint64_t switches = voluntary_switches();
    uint64_t cpu_ns = process_cpu_ns(::getpid()) + process_cpu_ns(peer_.pid());
    for (uint64_t trip = 0; trip < trips; trip++) {
        there_.give();
        work(*steps_);
        back_.take();
    }
    cpu_ns = process_cpu_ns(::getpid()) + process_cpu_ns(peer_.pid()) - cpu_ns;
    // There and back for each time that this process left its CPU.
    return {cpu_ns, 2 * trips * *steps_, 2 * (voluntary_switches() - switches)};
}

}  // namespace virt_power::bench
