// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "workloads.hpp"

namespace virt_power::bench {
namespace {

constexpr uint64_t wake_period_ns = 2 * ns_per_s / switches_per_s;  // there and back

constexpr uint64_t boot_ns = 60 * ns_per_s;

/// The kernel lets what starves have the CPU for as long as a block, whatever the guest's priority.
constexpr int attempts = 10;

void sleep_until(uint64_t at_ns) {
    timespec at{static_cast<time_t>(at_ns / ns_per_s), static_cast<long>(at_ns % ns_per_s)};
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
}

pid_t find_vcpu(pid_t qemu) {
    for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", qemu))) {
        std::ifstream file(entry.path() / "comm");
        std::string name;
        std::getline(file, name);
        if (name.starts_with("CPU ")) return std::stoi(entry.path().filename());
    }
    fail(fmt::format("process {} has no thread called 'CPU ...'", qemu));
}

/// The one mapping of just this size.
uint64_t find_memory(pid_t qemu, uint64_t bytes) {
    std::ifstream file(fmt::format("/proc/{}/maps", qemu));
    std::string line;
    while (std::getline(file, line)) {
        uint64_t begin = 0;
        uint64_t end = 0;
        if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64, &begin, &end) == 2 && end - begin == bytes)
            return begin;
    }
    fail(fmt::format("process {} has no memory of {} bytes", qemu, bytes));
}

/// How often a thread was taken from its CPU, or left it.
uint64_t times_away(pid_t process, pid_t thread) {
    std::ifstream file(fmt::format("/proc/{}/task/{}/status", process, thread));
    std::string key;
    std::string value;
    uint64_t sum = 0;
    while (file >> key && std::getline(file, value))
        if (key == "voluntary_ctxt_switches:" || key == "nonvoluntary_ctxt_switches:")
            sum += std::stoull(value);
    return sum;
}

}  // namespace

Guest::Guest(int cpu, pid_t qemu, uint64_t memory_bytes)
    : qemu_(qemu),
      vcpu_(find_vcpu(qemu)),
      memory_(::open(fmt::format("/proc/{}/mem", qemu).c_str(), O_RDONLY | O_CLOEXEC)),
      begin_(find_memory(qemu, memory_bytes)),
      alone_(wait_until_it_counts() && take_cpu(cpu, 1, vcpu_) &&
             take_cpu(cpu, 3)),  // this process above all: while it reads, all stands still
      waker_([cpu] {
          take_cpu(cpu, 2);
          for (uint64_t next_ns = clock_ns(CLOCK_MONOTONIC);;) {
              next_ns = std::max(next_ns + wake_period_ns, clock_ns(CLOCK_MONOTONIC));
              sleep_until(next_ns);
          }
      }) {}

/// After its BIOS, which writes to that address, too: so it is twice that the counter has to grow a little.
bool Guest::wait_until_it_counts() const {
    if (memory_ < 0) fail(fmt::format("the memory of process {} cannot be read", qemu_));
    uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + boot_ns;
    uint32_t seen = counter();
    for (int grown = 0; grown < 2;) {
        if (clock_ns(CLOCK_MONOTONIC) > end_ns) fail("the guest does not start to count");
        ::usleep(100'000);
        uint32_t now = counter();
        grown = now - seen > 100 && now - seen < 100'000'000 ? grown + 1 : 0;
        seen = now;
    }
    return true;
}

uint32_t Guest::counter() const {
    uint32_t value = 0;
    if (::pread(memory_, &value, sizeof(value), static_cast<off_t>(begin_ + counter_address)) !=
        sizeof(value))
        fail("the guest's memory cannot be read");
    return value;
}

Done Guest::done_so_far() const {
    return {process_cpu_ns(qemu_) + process_cpu_ns(waker_.pid()), counter(), 2 * times_away(qemu_, vcpu_)};
}

Done Guest::run(uint64_t time_ns) {
    for (int attempt = 0; attempt < attempts; attempt++) {
        sleep_until(clock_ns(CLOCK_MONOTONIC) + 2'000'000);  // the caches are the guest's again
        Done before = done_so_far();
        sleep_until(clock_ns(CLOCK_MONOTONIC) + time_ns);
        Done after = done_so_far();
        auto work = static_cast<uint32_t>(after.work - before.work);  // the counter may have begun anew
        if (work != 0) return {after.cpu_ns - before.cpu_ns, work, after.switches - before.switches};
    }
    fail("the guest stands still");
}

}  // namespace virt_power::bench
