// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hyperthreads.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "small_file.hpp"

namespace virt_power {
namespace {

constexpr uint32_t max_cpus = 65536;
constexpr size_t max_list_size = 65536;

std::optional<uint32_t> take_number(std::string_view& text) {
    uint32_t value = 0;
    auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value >= max_cpus) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(stop - text.data()));
    return value;
}

/// "0-3,8" and a line's end.
Result<std::vector<uint32_t>> read_list(const std::filesystem::path& path) {
    Result<std::string> text = read_small_file(path, max_list_size);
    if (!text) return text.error();
    Error malformed{ErrorKind::Malformed, 0, fmt::format("{} is not a list of CPUs", path.string())};
    std::string_view rest = *text;
    if (rest.ends_with('\n')) rest.remove_suffix(1);
    std::set<uint32_t> cpus;
    while (!rest.empty()) {
        std::optional<uint32_t> first = take_number(rest), last = first;
        if (first && rest.starts_with('-')) {
            rest.remove_prefix(1);
            last = take_number(rest);
        }
        if (!first || !last || *last < *first || !(rest.empty() || rest.front() == ',')) return malformed;
        for (uint32_t cpu = *first; cpu <= *last; cpu++) cpus.insert(cpu);
        if (!rest.empty()) rest.remove_prefix(1);
    }
    return std::vector<uint32_t>(cpus.begin(), cpus.end());
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

std::string cpu_list(const std::vector<uint32_t>& cpus) {
    std::string text;
    for (size_t n = 0; n < cpus.size();) {
        size_t end = n + 1;
        while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) end++;
        text += fmt::format("{}{}", text.empty() ? "" : ",", cpus[n]);
        if (end - n > 1) text += fmt::format("-{}", cpus[end - 1]);
        n = end;
    }
    return text;
}

}  // namespace virt_power
