// SPDX-License-Identifier: LGPL-2.1-or-later
#include "raw_inputs.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

namespace virt_power {
namespace {

namespace fs = std::filesystem;

constexpr const char* truth_file = "/sys/kernel/debug/power_host/truth";

std::string text_of(const fs::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// Directory entries whose names are numbers; none where the directory went away.
std::vector<long> numbers_in(const fs::path& directory) {
    std::vector<long> numbers;
    std::error_code gone;
    for (fs::directory_iterator at(directory, gone), end; !gone && at != end; at.increment(gone)) {
        const std::string name = at->path().filename().string();
        if (std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
            numbers.push_back(std::stol(name));
    }
    return numbers;
}

/// proc_pid_stat(5), of which four fields are needed.
struct Stat {
    std::string comm;
    uint64_t ticks = 0;
    std::string cpu;
};

std::optional<Stat> parse_stat(const std::string& text) {
    size_t open = text.find('('), close = text.rfind(')');
    if (open == std::string::npos || close == std::string::npos) return std::nullopt;
    Stat stat;
    stat.comm = text.substr(open + 1, close - open - 1);
    std::istringstream rest(text.substr(close + 1));
    std::string field;
    for (int number = 3; rest >> field; number++) {
        if (number == 14 || number == 15) stat.ticks += std::stoull(field);
        if (number == 39) stat.cpu = field;
    }
    return stat;
}

fs::path task_directory(pid_t pid) { return "/proc/" + std::to_string(pid) + "/task"; }

std::optional<Stat> thread_stat(pid_t pid, long tid) {
    return parse_stat(text_of(task_directory(pid) / std::to_string(tid) / "stat"));
}

/// -1 for a row of another kind.
pid_t pid_of_row(const std::string& line, std::string_view kind) {
    return line.starts_with(kind) ? std::stoi(line.substr(kind.size())) : -1;
}

}  // namespace

void Residence::look(pid_t pid) {
    for (long tid : numbers_in(task_directory(pid)))
        if (std::optional<Stat> stat = thread_stat(pid, tid)) seen_[pid][tid][stat->cpu]++;
}

nlohmann::json Residence::of(pid_t pid) const {
    nlohmann::json found = nlohmann::json::object();
    auto process = seen_.find(pid);
    if (process == seen_.end()) return found;
    for (const auto& [tid, cpus] : process->second) found[std::to_string(tid)] = cpus;
    return found;
}

nlohmann::json threads_of(pid_t pid) {
    nlohmann::json threads = nlohmann::json::array();
    for (long tid : numbers_in(task_directory(pid)))
        if (std::optional<Stat> stat = thread_stat(pid, tid))
            threads.push_back(
                {{"tid", tid}, {"comm", stat->comm}, {"ticks", stat->ticks}, {"cpu", stat->cpu}});
    return threads;
}

nlohmann::json process_ticks() {
    nlohmann::json processes = nlohmann::json::object();
    for (long pid : numbers_in("/proc"))
        if (std::optional<Stat> stat = parse_stat(text_of("/proc/" + std::to_string(pid) + "/stat")))
            processes[std::to_string(pid)] = stat->ticks;
    return processes;
}

nlohmann::json cpu_ticks() {
    nlohmann::json cpus = nlohmann::json::object();
    std::istringstream lines(text_of("/proc/stat"));
    for (std::string line; std::getline(lines, line) && line.starts_with("cpu");) {
        std::istringstream fields(line);
        std::string name;
        fields >> name;
        for (uint64_t ticks = 0; fields >> ticks;) cpus[name].push_back(ticks);
    }
    return cpus;
}

nlohmann::json powercap_zones() {
    nlohmann::json zones = nlohmann::json::array();
    std::error_code none;
    for (const auto& zone : fs::directory_iterator("/sys/class/powercap", none)) {
        std::istringstream energy(text_of(zone.path() / "energy_uj")),
            most(text_of(zone.path() / "max_energy_range_uj")), name(text_of(zone.path() / "name"));
        uint64_t energy_uj = 0, max_uj = 0;
        std::string word;
        if (energy >> energy_uj && most >> max_uj && name >> word)
            zones.push_back({{"name", word},
                             {"path", zone.path().filename().string()},
                             {"energy_uj", energy_uj},
                             {"max_uj", max_uj}});
    }
    return zones;
}

nlohmann::json packages() {
    nlohmann::json found = nlohmann::json::object();
    std::error_code none;
    for (const auto& cpu : fs::directory_iterator("/sys/devices/system/cpu", none)) {
        std::istringstream id(text_of(cpu.path() / "topology/physical_package_id"));
        const std::string name = cpu.path().filename().string();
        if (int package = 0; name.starts_with("cpu") && id >> package) found[name.substr(3)] = package;
    }
    return found;
}

TruthAccount::TruthAccount() : file_(truth_file) {}

std::string TruthAccount::text() {
    std::ostringstream text;
    text << file_.rdbuf();
    return text.str();
}

nlohmann::json truth(const std::string& text, const std::set<pid_t>& pids) {
    std::istringstream lines(text);
    std::string kept;
    for (std::string line; std::getline(lines, line);) {
        if (pid_t pid = pid_of_row(line, "thread "); pid != -1 && pids.count(pid) == 0)
            if (line.find("comm=vhost") == std::string::npos) continue;
        kept += line + '\n';
    }
    return kept.empty() ? nlohmann::json() : nlohmann::json(kept);
}

std::string process_rows(const std::string& text, pid_t pid) {
    std::istringstream lines(text);
    std::string kept;
    for (std::string line; std::getline(lines, line);)
        if (pid_of_row(line, "process ") == pid || pid_of_row(line, "thread ") == pid) kept += line + '\n';
    return kept;
}

}  // namespace virt_power
