// SPDX-License-Identifier: LGPL-2.1-or-later
#include "power_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "modelled_energy.hpp"
#include "own_thread.hpp"
#include "weighing.hpp"

namespace virt_power {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

/// A call waits this long for a pass, then takes the last one.
constexpr milliseconds call_patience{500};
/// A pass that takes this long hangs.
constexpr milliseconds hang_limit{2000};
/// Sensors are read this often until one is seen to move, for this long.
constexpr milliseconds first_period{50};
constexpr milliseconds first_phase{5000};
/// Bounds of the period in which counters are read for their wraps.
constexpr milliseconds shortest_period{10};
constexpr milliseconds longest_period{60000};
/// Energy is read before and after CPU use, and both stand for one instant. What takes longer than they need
/// was held up in between, by the scheduler or a hypervisor: it is done again, this often at most.
constexpr int most_attempts = 4;
constexpr milliseconds patience_for_attempts{20};
constexpr nanoseconds needed_by_pass{1'000'000};
constexpr nanoseconds needed_by_domain{10'000};
/// What a process used is lost with it where only its clock tells: read it this often.
constexpr milliseconds usage_period{5000};

constexpr std::string_view unknown_exception = "an exception of no known kind";

uint64_t to_ns(nanoseconds duration) { return static_cast<uint64_t>(duration.count()); }

}  // namespace

bool Snapshot::any_counted() const {
    return std::any_of(host.zones.begin(), host.zones.end(),
                       [](const ZoneReading& zone) { return zone.counted; });
}

/// Lives until the last thread lets go of it, which a hanging sensor may delay
/// beyond the engine's end.
struct PowerEngine::Shared {
    std::unique_ptr<UsageKeeper> usage;
    EngineOptions options;
    uint64_t epoch = 0;
    uint64_t start_ns = 0;  ///< when counting began, maybe in a daemon before this one
    uint64_t opened_ns = 0;

    std::mutex mutex;
    std::condition_variable changed;
    std::condition_variable wanted;  ///< or stopping, or given up: for workers
    bool stopping = false;
    uint64_t worker = 0;  ///< the thread that may publish; those before it are given up
    bool worker_runs = false;
    bool sensorless = false;  ///< nothing to read that may hang: each call takes its pass itself
    uint64_t wanted_pass = 0;
    uint64_t started_pass = 0;
    uint64_t finished_pass = 0;
    std::optional<steady_clock::time_point> in_sensors_since;
    std::shared_ptr<ZoneSet> zones;  ///< null until discovered
    std::shared_ptr<const Snapshot> latest;
    bool in_call = false;  ///< some call takes a pass itself

    // Of the present worker alone, or of who set in_call.
    bool was_error = false;
    bool was_counted = false;
    bool model_serves = false;
    std::optional<ModelledEnergy> model;

    void log(LogLevel level, std::string_view message);
    void try_to_log(std::string_view error) noexcept;
    void run(uint64_t me);
    void failed(uint64_t me, std::string_view why);
    bool discover(uint64_t me);
    [[nodiscard]] bool first_phase_over() const;
    [[nodiscard]] milliseconds period(const ZoneSet& with) const;
    void add_zones(Snapshot& snapshot, const ZoneSet& with);
    std::optional<Snapshot> take(ZoneSet& with);
    std::shared_ptr<const Snapshot> take_of_one_instant(ZoneSet& with);
    std::shared_ptr<const Snapshot> take_in_call(std::unique_lock<std::mutex>& lock, uint64_t pass);
    std::shared_ptr<const Snapshot> take_or_tell(ZoneSet& with) noexcept;
    [[nodiscard]] bool worker_is_wanted() const { return !sensorless && wanted_pass > started_pass; }
    [[nodiscard]] bool hangs_for(milliseconds limit) const;
    static void start_worker(const std::shared_ptr<Shared>& self);
    static void replace_hung_worker(const std::shared_ptr<Shared>& self, std::unique_lock<std::mutex>& lock);
};

void PowerEngine::Shared::log(LogLevel level, std::string_view message) {
    std::unique_lock lock(mutex);
    if (stopping) return;  // the daemon's log may be gone
    lock.unlock();
    options.log(level, message);
}

/// False if this thread was given up meanwhile.
bool PowerEngine::Shared::discover(uint64_t me) {
    Warn warn = [this](std::string_view message) { log(LogLevel::Warning, message); };
    Sensors sensors;
    try {
        sensors = options.discover(warn);
    } catch (const std::exception& exception) {
        warn(exception.what());
    }
    auto found = std::make_shared<ZoneSet>(sensors, options.source_prefix, warn, options.zone_memory);
    std::lock_guard lock(mutex);
    zones = std::move(found);  // also if it hung and was given up: another thread reads them
    if (me != worker) return false;
    sensorless = zones->empty() && !usage->must_be_read();
    if (sensorless) changed.notify_all();
    return true;
}

bool PowerEngine::Shared::first_phase_over() const {
    return options.now_ns() - opened_ns >= to_ns(first_phase);
}

milliseconds PowerEngine::Shared::period(const ZoneSet& with) const {
    if (!with.empty() && !was_counted && !first_phase_over()) return first_period;
    std::optional<uint64_t> wrap_ns = with.shortest_wrap_ns();
    milliseconds longest = usage->must_be_read() ? usage_period : longest_period;
    if (!wrap_ns) return longest;
    milliseconds quarter(static_cast<int64_t>(*wrap_ns / 4'000'000));
    return std::clamp(quarter, shortest_period, longest);
}

/// Measured zones; modelled ones where that is allowed and no counter moves.
void PowerEngine::Shared::add_zones(Snapshot& snapshot, const ZoneSet& with) {
    snapshot.host.zones = usage->with_topology(
        [&](const CpuTopology& topology) { return with.zones(topology, snapshot.host.time_ns); });
    if (options.modelled && !was_counted && (with.empty() || first_phase_over())) {
        if (!std::exchange(model_serves, true))
            log(LogLevel::Info,
                "no energy counter of this host moves: energy is modelled from CPU use, not measured");
        if (!model) model.emplace(options.model, start_ns, options.zone_memory);
        snapshot.host.zones = model->zones(snapshot.host.time_ns, snapshot.host.packages);
    }
    if (options.add_static)
        options.add_static(snapshot.host.zones,
                           [this](std::string_view message) { log(LogLevel::Warning, message); });
}

/// Zones before and after CPU use, so that their energy at its instant is known, however long each took.
/// Nothing if this thread was given up meanwhile.
std::optional<Snapshot> PowerEngine::Shared::take(ZoneSet& with) {
    Snapshot snapshot;
    if (options.weighing) usage->weigh(options.weighing().value_or(default_weighing));
    if (!with.read(options.now_ns)) return std::nullopt;
    Result<UsageSnapshot> used = usage->read();
    if (!with.read(options.now_ns)) return std::nullopt;
    was_counted = was_counted || with.any_counted();
    if (!used) {
        if (!std::exchange(was_error, true)) log(LogLevel::Error, used.error().message);
        return snapshot;
    }
    was_error = false;
    snapshot.valid = true;
    snapshot.host = std::move(used->host);
    snapshot.host.epoch = epoch;
    snapshot.departed = std::move(used->departed);
    snapshot.domains = std::move(used->domains);
    add_zones(snapshot, with);
    if (options.add_state)
        usage->with_topology(
            [&](const CpuTopology& topology) { options.add_state(snapshot.host, topology); });
    return snapshot;
}

/// Zones and CPU use, of the attempt that took the shortest time. Null if this thread was given up meanwhile.
std::shared_ptr<const Snapshot> PowerEngine::Shared::take_of_one_instant(ZoneSet& with) {
    if (options.refresh_state) options.refresh_state();
    uint64_t begun_ns = options.now_ns();
    uint64_t shortest_ns = UINT64_MAX;
    std::shared_ptr<const Snapshot> best;
    for (int attempt = 0; attempt < most_attempts; attempt++) {
        uint64_t from_ns = options.now_ns();
        if (attempt > 0 && from_ns - begun_ns > to_ns(patience_for_attempts)) break;
        std::optional<Snapshot> taken = take(with);
        if (!taken) return nullptr;
        auto snapshot = std::make_shared<const Snapshot>(std::move(*taken));
        uint64_t took_ns = options.now_ns() - from_ns;
        uint64_t needed_ns = to_ns(needed_by_pass) + snapshot->domains.size() * to_ns(needed_by_domain);
        if (!snapshot->valid) return best ? best : snapshot;
        if (took_ns < shortest_ns) best = std::move(snapshot);
        shortest_ns = std::min(shortest_ns, took_ns);
        if (took_ns <= needed_ns) break;
    }
    return best;
}

/// What a switch to the worker and back takes is a fifth of a sample where switches are dear, as in a virtual
/// machine, and only sensors need it. Those behind wait no longer than for the worker.
std::shared_ptr<const Snapshot> PowerEngine::Shared::take_in_call(std::unique_lock<std::mutex>& lock,
                                                                  uint64_t pass) {
    changed.wait_for(lock, call_patience, [&] { return finished_pass >= pass || !in_call; });
    if (finished_pass >= pass || in_call) return latest;
    in_call = true;
    std::shared_ptr<ZoneSet> with = zones;
    uint64_t mine = ++started_pass;
    lock.unlock();
    std::shared_ptr<const Snapshot> snapshot = take_or_tell(*with);
    lock.lock();
    latest = snapshot;
    finished_pass = mine;
    in_call = false;
    lock.unlock();
    changed.notify_all();
    return snapshot;
}

/// Null if something was thrown: it costs this pass alone.
std::shared_ptr<const Snapshot> PowerEngine::Shared::take_or_tell(ZoneSet& with) noexcept {
    try {
        return take_of_one_instant(with);
    } catch (const std::exception& exception) {
        try_to_log(exception.what());
    } catch (...) {
        try_to_log(unknown_exception);
    }
    return nullptr;
}

void PowerEngine::Shared::try_to_log(std::string_view error) noexcept {
    try {
        log(LogLevel::Error, error);
    } catch (...) {  // NOLINT(bugprone-empty-catch): nothing is left to tell it to
    }
}

/// One thread's life: reads zones in time for their wraps, and CPU use with them
/// whenever a call wants a snapshot.
void PowerEngine::Shared::run(uint64_t me) {
    std::unique_lock lock(mutex);
    in_sensors_since = steady_clock::now();
    if (!zones) {
        lock.unlock();
        if (!discover(me)) return;
        lock.lock();
    }
    while (!stopping && me == worker) {
        std::shared_ptr<ZoneSet> with = zones;
        bool call = worker_is_wanted();
        if (call) started_pass++;
        in_sensors_since = steady_clock::now();
        lock.unlock();
        std::shared_ptr<const Snapshot> snapshot;
        if (call) {
            snapshot = take_of_one_instant(*with);
            if (!snapshot) return;
        } else {
            if (!with->empty()) {
                if (!with->read(options.now_ns)) return;
                was_counted = was_counted || with->any_counted();
            }
            if (usage->must_be_read()) (void)usage->read();
        }
        milliseconds pause = period(*with);
        lock.lock();
        if (me != worker) return;
        in_sensors_since.reset();
        if (call) {
            latest = std::move(snapshot);
            finished_pass = started_pass;
            // Who is woken wants the lock first of all.
            lock.unlock();
            changed.notify_all();
            lock.lock();
        }
        wanted.wait_for(lock, pause, [&] { return stopping || me != worker || worker_is_wanted(); });
    }
    if (me == worker) worker_runs = false;
    changed.notify_all();
}

/// A thread of ours must not take the daemon with it. The next call starts another one.
void PowerEngine::Shared::failed(uint64_t me, std::string_view why) {
    log(LogLevel::Error, why);
    std::lock_guard lock(mutex);
    if (me != worker) return;
    worker_runs = false;
    in_sensors_since.reset();
    latest.reset();
    changed.notify_all();
}

/// Under the lock.
void PowerEngine::Shared::start_worker(const std::shared_ptr<Shared>& self) {
    self->worker_runs = false;
    uint64_t me = ++self->worker;
    start_own_thread([self, me] {
        try {
            self->run(me);
        } catch (const std::exception& exception) {
            self->failed(me, exception.what());
        } catch (...) {
            self->failed(me, unknown_exception);
        }
    });
    self->worker_runs = true;
}

bool PowerEngine::Shared::hangs_for(milliseconds limit) const {
    return in_sensors_since && steady_clock::now() - *in_sensors_since >= limit;
}

/// Leaves the thread that a sensor holds to its fate, and goes on without that sensor.
void PowerEngine::Shared::replace_hung_worker(const std::shared_ptr<Shared>& self,
                                              std::unique_lock<std::mutex>& lock) {
    std::string sensor = "discovery of zones";
    if (self->zones) {
        sensor = self->zones->abandon();
        if (sensor.empty()) return;  // it is somewhere else, and will come back
    } else {
        self->zones =
            std::make_shared<ZoneSet>(Sensors{}, self->options.source_prefix, [](std::string_view) {});
    }
    self->in_sensors_since.reset();
    start_worker(self);
    lock.unlock();
    self->log(
        LogLevel::Warning,
        fmt::format("{}: the kernel does not answer; there are no figures of it until it does", sensor));
    lock.lock();
}

PowerEngine::PowerEngine(std::unique_ptr<UsageKeeper> usage, EngineOptions options)
    : shared_(std::make_shared<Shared>()) {
    shared_->usage = std::move(usage);
    shared_->options = std::move(options);
    // At once, and not by the first pass: what a domain does before that is weighed, too.
    if (shared_->options.weighing)
        shared_->usage->weigh(shared_->options.weighing().value_or(default_weighing));
    shared_->opened_ns = shared_->options.now_ns();
    Origin fresh{static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()),
                 shared_->opened_ns};
    Origin origin = shared_->usage->origin().value_or(fresh);
    shared_->epoch = origin.epoch;
    shared_->start_ns = origin.start_ns;
    std::lock_guard lock(shared_->mutex);
    Shared::start_worker(shared_);
}

PowerEngine::~PowerEngine() {
    std::unique_lock lock(shared_->mutex);
    shared_->stopping = true;
    shared_->wanted.notify_all();
    shared_->changed.wait_for(lock, call_patience, [this] { return !shared_->worker_runs; });
}

UsageKeeper& PowerEngine::usage() { return *shared_->usage; }

std::shared_ptr<const Snapshot> PowerEngine::snapshot() {
    std::unique_lock lock(shared_->mutex);
    if (!shared_->worker_runs)
        Shared::start_worker(shared_);
    else if (shared_->hangs_for(hang_limit))
        Shared::replace_hung_worker(shared_, lock);
    uint64_t pass = shared_->started_pass + 1;
    if (!shared_->sensorless) {
        shared_->wanted_pass = std::max(shared_->wanted_pass, pass);
        lock.unlock();
        shared_->wanted.notify_all();
        lock.lock();
        if (!shared_->hangs_for(call_patience))
            shared_->changed.wait_for(lock, call_patience,
                                      [&] { return shared_->finished_pass >= pass || shared_->sensorless; });
        if (!shared_->sensorless || shared_->finished_pass >= pass) return shared_->latest;
    }
    return shared_->take_in_call(lock, pass);
}

}  // namespace virt_power
