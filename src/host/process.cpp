// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

constexpr uint64_t ns_per_s = 1'000'000'000;

/// Takes the next word of a line.
std::string_view next_word(std::string_view& rest) {
    size_t first = rest.find_first_not_of(' ');
    if (first == std::string_view::npos) {
        rest = {};
        return {};
    }
    rest.remove_prefix(first);
    std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    return word;
}

std::string_view next_line(std::string_view& rest) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    return line;
}

Error malformed(std::string_view what) {
    return {ErrorKind::Malformed, 0, fmt::format("{}: not of the form that proc(5) gives", what)};
}

}  // namespace

uint64_t tick_ns() {
    static const uint64_t ns = ns_per_s / static_cast<uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
    return ns;
}

Result<ProcPidStat> parse_proc_pid_stat(std::string_view text) {
    size_t name_end = text.rfind(')');
    if (name_end == std::string_view::npos) return malformed("stat");
    std::string_view rest = trim(text.substr(name_end + 1));
    // Field 3 of proc(5), the state, is the first after the name.
    ProcPidStat stat;
    for (int field = 3; field <= 39; field++) {
        std::string_view word = next_word(rest);
        if (word.empty()) return malformed("stat");
        if (field != 14 && field != 15 && field != 22 && field != 39) continue;
        Result<uint64_t> value = parse_u64(word);
        if (!value) return value.error();
        if (field == 22)
            stat.start_ticks = *value;
        else if (field == 39)
            stat.processor = static_cast<uint32_t>(*value);
        else
            stat.cpu_ticks += *value;
    }
    return stat;
}

Result<std::vector<std::pair<uint32_t, uint64_t>>> parse_proc_stat(std::string_view text) {
    std::vector<std::pair<uint32_t, uint64_t>> busy;
    while (!text.empty()) {
        std::string_view line = next_line(text);
        std::string_view name = next_word(line);
        if (!name.starts_with("cpu") || name.size() == 3) continue;
        Result<uint64_t> cpu = parse_u64(name.substr(3));
        if (!cpu) return cpu.error();
        std::array<uint64_t, 7> ticks{};  // user nice system idle iowait irq softirq
        for (uint64_t& value : ticks) {
            Result<uint64_t> number = parse_u64(next_word(line));
            if (!number) return malformed(name);
            value = *number;
        }
        uint64_t sum = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6];
        busy.emplace_back(static_cast<uint32_t>(*cpu), sum * tick_ns());
    }
    if (busy.empty()) return malformed("/proc/stat");
    return busy;
}

Result<Process> find_process(const std::filesystem::path& root, pid_t pid) {
    Result<std::string> text = read_kernel_file(root / "proc" / std::to_string(pid) / "stat");
    if (!text) return text.error();
    Result<ProcPidStat> stat = parse_proc_pid_stat(*text);
    if (!stat) return stat.error();
    return Process{pid, stat->start_ticks};
}

}  // namespace virt_power
