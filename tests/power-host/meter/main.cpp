// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Measures VMs in three ways at the same instants: by the plugin, into a recording that
/// `virt-power replay` reads; by what other monitors read, and by the simulated machine's truth,
/// into lines of JSON. Does what it is told on standard input, a command a line, and answers
/// each with a line "ok":
///
///     start UUID NAME PID     a VM runs
///     stop UUID               it has ended
///     sample                  measure
///     record                  the plugin's sample alone, into its recording
///     pause MILLISECONDS      wait, and look meanwhile where the threads of the VMs are
///     close                   the daemon ends; there are no samples until `open`
///     open                    another one starts, and finds the VMs that run
///     end                     finish the recordings
///
/// With a second recording, each pause takes the plugin's samples into it as well, each 0.1 s.
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "plugin.hpp"
#include "raw_inputs.hpp"
#include "virt-power/recording.hpp"
#include "vm_cycles.hpp"

namespace virt_power {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds look_period{100};
constexpr int most_tries = 50;

/// By the clock of HostReading::time_ns.
uint64_t now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void check(const Status& status) {
    if (!status) throw std::runtime_error(status.error().message);
}

/// A recording of this machine.
class Recording {
public:
    Recording(const std::string& path, milliseconds period) {
        Result<std::unique_ptr<Recorder>> created =
            Recorder::create(path, {"power-host-meter", period, {""}}, {.overwrite = true});
        if (!created) throw std::runtime_error(created.error().message);
        recorder_ = *std::move(created);
    }

    void add(const Sample& sample) {
        check(recorder_->add(0, sample));
        if (!std::exchange(begun_, true)) check(recorder_->started());
        check(recorder_->tick());
    }

    void end() { check(recorder_->finish()); }

private:
    std::unique_ptr<Recorder> recorder_;
    bool begun_ = false;
};

class Meter {
public:
    /// `fine` may be empty.
    Meter(const std::string& plugin, const std::string& config, const std::string& recording,
          const std::string& raw, const std::string& fine)
        : plugin_(plugin, config), raw_(raw), recorder_(recording, milliseconds{1000}) {
        if (!fine.empty()) fine_.emplace(fine, look_period);
        if (!raw_) throw std::runtime_error(raw + ": cannot be written");
    }

    void run(const std::string& line) {
        std::istringstream words(line);
        std::string command;
        words >> command;
        if (command == "start")
            start(words);
        else if (command == "stop")
            stop(words);
        else if (command == "sample")
            sample();
        else if (command == "record")
            recorder_.add(read_plugin());
        else if (command == "pause")
            pause(words);
        else if (command == "close")
            plugin_.close();
        else if (command == "open")
            plugin_.open(vms_);
        else if (command == "end")
            end();
        else
            throw std::runtime_error("'" + line + "' is no command");
    }

private:
    void start(std::istream& words) {
        Vm vm;
        if (!(words >> vm.uuid >> vm.name >> vm.pid))
            throw std::runtime_error("start needs UUID, NAME and PID");
        // What the launcher did under this pid is not the VM's: libvirt, too, tells of it before QEMU itself
        // runs.
        TruthAccount before;
        plugin_.start(vm);
        started_[std::to_string(vm.pid)] = process_rows(before.text(), vm.pid);
        pids_.insert(vm.pid);
        cycles_.emplace(vm.uuid, vm.pid);
        vms_.push_back(vm);
    }

    void stop(std::istream& words) {
        std::string uuid;
        words >> uuid;
        std::erase_if(vms_, [&](const Vm& vm) {
            if (vm.uuid == uuid) plugin_.stop(vm);
            return vm.uuid == uuid;
        });
        cycles_.erase(uuid);
    }

    /// A new reading. The plugin's thread may have been kept from the CPU for so long that it gives its last
    /// one again.
    Sample read_plugin(const std::function<void()>& before = [] {}) {
        for (int tries = 0; tries < most_tries; tries++) {
            before();
            uint64_t begun_ns = now_ns();
            Sample taken = plugin_.sample(vms_);
            if (taken.reading ? taken.reading->time_ns >= begun_ns : vms_.empty()) return taken;
            std::this_thread::sleep_for(look_period);
        }
        throw std::runtime_error("the plugin gave no new reading, however often it was asked");
    }

    /// The truth is taken before and after the plugin's reading, whose time says where between them it lies.
    /// The others' inputs follow at once.
    void sample() {
        nlohmann::json line;
        std::optional<TruthAccount> before;
        Sample taken = read_plugin([&before] { before.emplace(); });
        TruthAccount after;
        line["started"] = std::exchange(started_, nlohmann::json::object());
        if (taken.reading) line["reading_ns"] = taken.reading->time_ns;
        line["monotonic_ns"] = steady_clock::now().time_since_epoch().count();
        line["zones"] = powercap_zones();
        line["cpu_ticks"] = cpu_ticks();
        line["packages"] = packages();
        line["vms"] = nlohmann::json::object();
        for (const Vm& vm : vms_) {
            nlohmann::json& entry = line["vms"][vm.name];
            entry = {{"pid", vm.pid}, {"threads", threads_of(vm.pid)}, {"residence", residence_.of(vm.pid)}};
            if (std::optional<uint64_t> count = cycles_.at(vm.uuid).read()) entry["cycles"] = *count;
        }
        line["process_ticks"] = process_ticks();
        line["truth"] = {truth(before->text(), pids_), truth(after.text(), pids_)};
        raw_ << line.dump() << std::endl;
        recorder_.add(taken);
        if (fine_) fine_->add(taken);
    }

    void pause(std::istream& words) {
        int64_t length = 0;
        words >> length;
        steady_clock::time_point end = steady_clock::now() + milliseconds(length);
        while (steady_clock::now() < end) {
            for (const Vm& vm : vms_) residence_.look(vm.pid);
            if (fine_ && plugin_.is_open()) fine_->add(plugin_.sample(vms_));
            std::this_thread::sleep_until(std::min(end, steady_clock::now() + look_period));
        }
    }

    void end() {
        recorder_.end();
        if (fine_) fine_->end();
    }

    Plugin plugin_;
    std::ofstream raw_;
    Recording recorder_;
    std::optional<Recording> fine_;
    nlohmann::json started_ =
        nlohmann::json::object();  ///< since the last sample: {pid: its rows of the truth}
    std::vector<Vm> vms_;
    std::set<pid_t> pids_;  ///< of all VMs that there were
    std::map<std::string, VmCycles> cycles_;
    Residence residence_;
};

}  // namespace
}  // namespace virt_power

int main(int argc, char** argv) {
    if (argc != 5 && argc != 6) {
        std::fputs("usage: power-host-meter PLUGIN.so CONFIG-DIRECTORY RECORDING RAW [FINE-RECORDING]\n",
                   stderr);
        return 2;
    }
    try {
        virt_power::Meter meter(argv[1], argv[2], argv[3], argv[4], argc == 6 ? argv[5] : "");
        for (std::string line; std::getline(std::cin, line);) {
            meter.run(line);
            std::cout << "ok" << std::endl;
        }
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "power-host-meter: %s\n", exception.what());
        return 1;
    }
    return 0;
}
