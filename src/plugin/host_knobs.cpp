// SPDX-License-Identifier: LGPL-2.1-or-later
#include "host_knobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#include "cpu_list.hpp"

namespace virt_power {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

/// Frequencies and limits are read again when they are older.
constexpr uint64_t fresh_ns = 1'000'000'000;
/// Where there never was any of them.
constexpr uint64_t fresh_nothing_ns = 10'000'000'000;
/// A sample waits no longer for them.
constexpr milliseconds state_patience{50};
/// What came too late serves the samples after it for so long.
constexpr uint64_t stale_ns = 5'000'000'000;
/// Warnings that are remembered, so that each comes once.
constexpr size_t most_told = 256;

/// What changes without anybody's order.
struct State {
    std::map<uint32_t, uint64_t> khz;           ///< by CPU
    std::map<std::string, uint64_t> limits_uw;  ///< by zone
    uint64_t read_ns = 0;
};

std::vector<Knob> knobs_of(KnobTopic topic) {
    if (topic == KnobTopic::Governor) return {Knob::Governor};
    return {Knob::Frequency, Knob::EnergyPreference, Knob::HostFrequency};
}

CpuSelection cpus_of(const std::optional<std::string>& target) {
    if (!target) return std::nullopt;
    return parse_cpumap(*target);
}

ZoneSelection zones_of(const std::optional<std::string>& target) {
    if (!target) return std::nullopt;
    return std::vector<std::string>{*target};
}

/// What tells changes apart for whom reads the log.
std::string told_as(const KnobChange& change) {
    std::string text = fmt::format("from {} to {}", change.before, change.after);
    if (change.asked != change.after) text += fmt::format(" (asked for {})", change.asked);
    return text;
}

/// One line for each thing that changed; CPUs to which the same happened share one.
std::vector<std::string> log_lines(const std::vector<KnobChange>& changes) {
    std::vector<std::pair<std::string, std::string>> kinds;  // file, told_as; in order
    std::map<std::pair<std::string, std::string>, std::vector<uint32_t>> cpus;
    std::vector<std::string> lines;
    for (const KnobChange& change : changes) {
        if (change.before == change.after) continue;
        if (change.cpus.empty()) {
            lines.push_back(fmt::format("{} of {} {}", change.file, change.subject, told_as(change)));
            continue;
        }
        std::pair key(change.file, told_as(change));
        if (!cpus.contains(key)) kinds.push_back(key);
        cpus[key].insert(cpus[key].end(), change.cpus.begin(), change.cpus.end());
    }
    for (const auto& key : kinds) {
        std::vector<uint32_t>& of = cpus[key];
        std::sort(of.begin(), of.end());
        lines.push_back(fmt::format("{} of {} {}", key.first, name_cpus(of), key.second));
    }
    return lines;
}

/// Half of a restore is done; the rest is an error.
KnobError restore_error(const KnobRestore& restore) {
    constexpr size_t most_sentences = 3;
    std::string sentences;
    for (size_t n = 0; n < std::min(restore.failures.size(), most_sentences); n++)
        sentences += (n == 0 ? "" : "; ") + std::string(restore.failures[n].what());
    if (restore.failures.size() > most_sentences)
        sentences += fmt::format("; and {} more", restore.failures.size() - most_sentences);
    if (!restore.restored.empty())
        sentences += fmt::format("; {} {} put back", restore.restored.size(),
                                 restore.restored.size() == 1 ? "other was" : "others were");
    return {restore.failures.front().kind(), sentences};
}

}  // namespace

/// Lives until the last job lets go of it, which a hanging file may delay beyond our end.
struct HostKnobs::Shared {
    explicit Shared(KnobOptions given)
        : options(std::move(given)),
          journal(options.state_dir, options.boot_id, [this](std::string_view text) { warn(text); }),
          cpufreq(options.root, journal, options.write_file),
          rapl(
              options.root, journal, [this](std::string_view text) { warn(text); }, options.write_file) {}

    KnobOptions options;
    std::mutex mutex;  ///< never held over a read of a kernel file
    std::set<std::string, std::less<>> told;
    bool closed = false;
    std::optional<State> state;
    bool ever_found = false;  ///< a frequency or a limit

    // Of the worker's thread alone.
    std::map<uint32_t, uint64_t> coarse_khz;
    std::optional<uint64_t> coarse_ns;
    KnobJournal journal;
    Cpufreq cpufreq;
    RaplLimits rapl;

    void log(LogLevel level, std::string_view text) {
        {
            std::lock_guard lock(mutex);
            if (closed) return;  // the daemon's log may be gone
        }
        options.log(level, text);
    }

    /// The same fault of a file shows at every reading: it is told once.
    void warn(std::string_view text) {
        {
            std::lock_guard lock(mutex);
            if (told.size() >= most_told || !told.emplace(text).second) return;
        }
        log(LogLevel::Warning, text);
    }

    Params get(KnobTopic topic, const std::optional<std::string>& target, ReadOnlyRule rule) {
        if (topic == KnobTopic::RaplLimit) return rapl_params(rapl.read(target));
        std::vector<CpuFrequency> cpus = cpufreq.read(cpus_of(target));
        if (topic == KnobTopic::Governor) return governor_params(cpus);
        if (rule == ReadOnlyRule::Coarse) make_coarse(cpus);
        return frequency_params(cpus, cpufreq.read_host(), rule == ReadOnlyRule::Deny);
    }

    /// One reading in ten seconds for all read-only connections together.
    void make_coarse(std::vector<CpuFrequency>& cpus) {
        uint64_t now_ns = options.now_ns();
        if (!coarse_ns || now_ns - *coarse_ns >= coarse_interval_ns) {
            coarse_khz = cpufreq.read_current_khz();
            coarse_ns = now_ns;
        }
        for (CpuFrequency& cpu : cpus) {
            auto found = coarse_khz.find(cpu.cpu);
            cpu.current_khz.reset();
            if (found != coarse_khz.end()) cpu.current_khz = found->second;
        }
    }

    Params set(const KnobOrder& order) {
        if (order.restore) return restore(order);
        std::vector<KnobChange> changes = change(order);
        tell(order, "set", changes);
        return change_params(changes);
    }

    std::vector<KnobChange> change(const KnobOrder& order) {
        if (order.topic == KnobTopic::Governor)
            return cpufreq.set_governor(cpus_of(order.target), governor_request(order.params));
        if (order.topic == KnobTopic::Frequency)
            return cpufreq.set_frequency(cpus_of(order.target), frequency_request(order.params));
        RaplRequest request = rapl_request(order.params);
        if (!order.target && !order.all_packages) rapl.require_one_package();
        return rapl.set(zones_of(order.target), request);
    }

    Params restore(const KnobOrder& order) {
        if (!order.params.empty())
            throw KnobError(KnobErrorKind::InvalidArgument, "nothing can be set together with a restore");
        KnobRestore restored = order.topic == KnobTopic::RaplLimit
                                   ? rapl.restore(zones_of(order.target))
                                   : cpufreq.restore(cpus_of(order.target), knobs_of(order.topic));
        tell(order, "put back", restored.restored);
        if (!restored.failures.empty()) throw restore_error(restored);
        return change_params(restored.restored);
    }

    void tell(const KnobOrder& order, const char* verb, const std::vector<KnobChange>& changes) {
        {
            std::lock_guard lock(mutex);
            state.reset();
        }
        // A warning, since that is what a daemon's log has by default.
        for (const std::string& line : log_lines(changes))
            log(LogLevel::Warning, fmt::format("{} {} {}", order.who, verb, line));
    }

    void read_state() {
        State found;
        found.khz = cpufreq.read_current_khz();
        found.limits_uw = rapl.read_limits_in_force();
        found.read_ns = options.now_ns();
        std::lock_guard lock(mutex);
        ever_found = ever_found || !found.khz.empty() || !found.limits_uw.empty();
        state = std::move(found);
    }

    [[nodiscard]] bool state_is_fresh() {
        std::lock_guard lock(mutex);
        return state && options.now_ns() - state->read_ns < (ever_found ? fresh_ns : fresh_nothing_ns);
    }

    [[nodiscard]] bool state_is_younger_than(uint64_t age_ns) {
        std::lock_guard lock(mutex);
        return state && options.now_ns() - state->read_ns < age_ns;
    }
};

namespace {

/// What a job returns or throws, in the caller's thread.
template <typename Job>
auto in_time(SerialWorker& worker, Job job, milliseconds patience, SerialWorker::Urgency urgency,
             const char* unfinished) {
    using T = std::invoke_result_t<Job>;
    auto task = std::make_shared<std::packaged_task<T()>>(std::move(job));
    std::future<T> result = task->get_future();
    switch (worker.run([task] { (*task)(); }, patience, urgency)) {
        case SerialWorker::Outcome::Done:
            break;
        case SerialWorker::Outcome::NotStarted:
            throw KnobError(
                KnobErrorKind::Timeout,
                "an earlier access to the host's knobs has not ended: the kernel does not answer; "
                "nothing was done, try again later");
        case SerialWorker::Outcome::Unfinished:
            throw KnobError(KnobErrorKind::Timeout, fmt::format("the kernel has not answered in {} ms; {}",
                                                                patience.count(), unfinished));
    }
    return result.get();
}

}  // namespace

HostKnobs::HostKnobs(KnobOptions options) : shared_(std::make_shared<Shared>(std::move(options))) {}

HostKnobs::~HostKnobs() {
    std::lock_guard lock(shared_->mutex);
    shared_->closed = true;
}

Params HostKnobs::get(KnobTopic topic, const std::optional<std::string>& target, ReadOnlyRule rule) {
    return in_time(
        worker_, [shared = shared_, topic, target, rule] { return shared->get(topic, target, rule); },
        shared_->options.read_patience, SerialWorker::Urgency::Low, "try again later");
}

Params HostKnobs::set(const KnobOrder& order) {
    return in_time(
        worker_, [shared = shared_, order] { return shared->set(order); }, shared_->options.write_patience,
        SerialWorker::Urgency::Normal, "the change may still come, and the daemon's log will tell of it");
}

void HostKnobs::refresh_state() {
    if (shared_->state_is_fresh()) return;
    auto job = [shared = shared_] {
        try {
            shared->read_state();
        } catch (const std::exception& exception) {
            shared->warn(exception.what());
        }
    };
    (void)worker_.run(job, state_patience, SerialWorker::Urgency::High);
}

void HostKnobs::add_state(HostReading& host, const CpuTopology& topology) {
    if (!shared_->state_is_younger_than(stale_ns)) return;
    std::lock_guard lock(shared_->mutex);
    if (!shared_->state) return;
    struct Mean {
        uint64_t sum = 0, count = 0;
    };
    std::map<uint32_t, Mean> means;  // by package
    for (const auto& [cpu, khz] : shared_->state->khz) {
        std::optional<uint32_t> package = topology.package_of_cpu(cpu);
        if (!package) continue;
        means[*package].sum += khz;
        means[*package].count++;
    }
    for (const auto& [package, mean] : means)
        if (package < host.packages.size()) host.packages[package].frequency_khz = mean.sum / mean.count;
    for (ZoneReading& zone : host.zones)
        if (auto found = shared_->state->limits_uw.find(zone.name); found != shared_->state->limits_uw.end())
            zone.limit_uw = found->second;
}

}  // namespace virt_power
