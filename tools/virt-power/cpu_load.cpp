// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cpu_load.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <array>
#include <cstring>
#include <system_error>

namespace virt_power {
namespace {

/// Chains of integer and floating-point work that do not wait for each other, so that one hyperthread
/// keeps a good part of a core's units busy, as common code does.
void spin(const std::atomic<bool>& ends) {
    constexpr int batch = 2048;
    std::array<uint64_t, 4> whole{1, 2, 3, 4};
    std::array<double, 4> real{1.1, 1.2, 1.3, 1.4};
    std::atomic<uint64_t> result = 0;  // what is kept must be computed
    while (!ends.load(std::memory_order_relaxed)) {
        for (int n = 0; n < batch; n++) {
            for (uint64_t& value : whole) value = value * 6364136223846793005U + 1442695040888963407U;
            for (double& value : real) value = value * 0.999 + 0.5;
        }
        result.store(whole[0] ^ whole[1] ^ whole[2] ^ whole[3] ^
                         static_cast<uint64_t>(real[0] + real[1] + real[2] + real[3]),
                     std::memory_order_relaxed);
    }
}

}  // namespace

Status CpuLoad::add(uint32_t cpu) {
    cpu_set_t* set = CPU_ALLOC(cpu + 1);
    if (!set) throw std::bad_alloc();
    const size_t size = CPU_ALLOC_SIZE(cpu + 1);
    CPU_ZERO_S(size, set);
    CPU_SET_S(cpu, size, set);
    int error = 0;
    try {
        threads_.emplace_back([this] { spin(ends_); });
        error = pthread_setaffinity_np(threads_.back().native_handle(), size, set);
    } catch (const std::system_error& failed) {
        error = failed.code().value();
    }
    CPU_FREE(set);
    if (error == 0) return ok();
    return Error{ErrorKind::Transient, error,
                 fmt::format("cannot put load on CPU {}: {}", cpu, strerrordesc_np(error))};
}

Result<std::unique_ptr<CpuLoad>> CpuLoad::put(const std::vector<uint32_t>& cpus) {
    std::unique_ptr<CpuLoad> load(new CpuLoad);
    for (uint32_t cpu : cpus)
        if (Status added = load->add(cpu); !added) return added.error();
    return load;
}

CpuLoad::~CpuLoad() {
    ends_ = true;
    for (std::thread& thread : threads_) thread.join();
}

}  // namespace virt_power
