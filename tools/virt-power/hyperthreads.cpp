// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hyperthreads.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <set>

#include "numbers.hpp"
#include "small_file.hpp"

namespace virt_power {
namespace {

constexpr uint32_t max_cpus = 65536;
constexpr size_t max_list_size = 65536;

Result<std::vector<uint32_t>> read_list(const std::filesystem::path& path) {
    Result<std::string> text = read_small_file(path, max_list_size);
    if (!text) return text.error();
    Result<std::vector<uint32_t>> cpus = parse_cpu_list(*text);
    if (!cpus)
        return Error{ErrorKind::Malformed, 0, fmt::format("{}: {}", path.string(), cpus.error().message)};
    return cpus;
}

std::vector<uint32_t> common(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
    std::vector<uint32_t> both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
    return both;
}

struct SetDeleter {
    void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};

}  // namespace

std::vector<uint32_t> allowed_cpus() {
    // The kernel wants a set as large as its own, whose size it does not tell.
    for (uint32_t count = 1024; count <= max_cpus; count *= 2) {
        std::unique_ptr<cpu_set_t, SetDeleter> set(CPU_ALLOC(count));
        const size_t size = CPU_ALLOC_SIZE(count);
        if (!set) return {};
        if (sched_getaffinity(0, size, set.get()) != 0) {
            if (errno == EINVAL) continue;
            return {};
        }
        std::vector<uint32_t> cpus;
        for (uint32_t cpu = 0; cpu < count; cpu++)
            if (CPU_ISSET_S(cpu, size, set.get())) cpus.push_back(cpu);
        return cpus;
    }
    return {};
}

Result<std::vector<Core>> read_shared_cores(const std::filesystem::path& root,
                                            const std::vector<uint32_t>& allowed) {
    const std::filesystem::path directory = root / "sys/devices/system/cpu";
    Result<std::vector<uint32_t>> online = read_list(directory / "online");
    if (!online) return online.error();
    const std::vector<uint32_t> usable = common(*online, allowed);
    std::set<uint32_t> seen;
    std::vector<Core> cores;
    for (uint32_t cpu : usable) {
        if (seen.count(cpu) != 0) continue;
        Result<std::vector<uint32_t>> siblings =
            read_list(directory / fmt::format("cpu{}", cpu) / "topology/thread_siblings_list");
        if (!siblings) return siblings.error();
        Core core = common(*siblings, usable);
        seen.insert(core.begin(), core.end());
        if (core.size() >= 2) cores.push_back(std::move(core));
    }
    return cores;
}

}  // namespace virt_power
