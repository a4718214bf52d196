// SPDX-License-Identifier: LGPL-2.1-or-later
// The C ABI: checks what it is given, catches what is thrown, and leaves the
// work to the engine.
#include <fmt/format.h>

#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>

#include "abi_values.hpp"
#include "calibration_file.hpp"
#include "host_knobs.hpp"
#include "power_engine.hpp"
#include "power_pmu.hpp"
#include "powercap.hpp"
#include "reading_codec.hpp"
#include "small_file.hpp"
#include "static_power.hpp"
#include "usage_counter_bpf.hpp"
#include "usage_counter_proc.hpp"
#include "virt-power/host_power_plugin.h"

using namespace virt_power;

static constexpr uint64_t ns_per_s = 1'000'000'000;

struct HostPowerSnapshot {
    std::shared_ptr<const Snapshot> snapshot;
    const char* status = "error";
    std::optional<uint64_t> interval_ns;
};

struct HostPower {
    Log log;
    Config config;
    std::shared_ptr<HostKnobs> knobs;  // the engine's thread has it, too
    std::unique_ptr<PowerEngine> engine;
    std::mutex coarse_mutex;
    std::shared_ptr<const Snapshot> coarse;
    uint64_t coarse_ns = 0;
};

namespace {

Uuid to_uuid(const unsigned char* bytes) {
    Uuid uuid{};
    std::memcpy(uuid.data(), bytes, uuid.size());
    return uuid;
}

/// No exception crosses the ABI.
template <typename T, typename Function>
T guarded(HostPower* power, T failed, Function function) noexcept {
    try {
        return function();
    } catch (const std::exception& exception) {
        try {
            if (power) power->log(LogLevel::Error, exception.what());
        } catch (...) {  // NOLINT(bugprone-empty-catch): nothing is left to tell it to
        }
    } catch (...) {  // NOLINT(bugprone-empty-catch)
    }
    return failed;
}

/// Nobody would ever read it.
void end_kept_counting(const BpfOptions& options) {
    if (Status removed = remove_kept_counting(options); !removed)
        options.warn(fmt::format("a daemon before this one left its BPF program at work: {}",
                                 removed.error().message));
}

/// The counter that was asked for; the fallback where that cannot be had, with no memory for zones.
BpfCounting make_counter(const Config& config, bool privileged, const std::filesystem::path& state_dir,
                         CpuTopology& topology, const Log& log) {
    std::string reason = "host-power.conf says so";
    bool by_bpf = config.counter != CounterChoice::Proc;
    if (by_bpf && !privileged) reason = "a session daemon loads no BPF";
    if (privileged) {
        BpfOptions options;
        options.bpf_fs = config.bpf_fs;
        options.state_dir = state_dir;
        options.pin = config.pin;
        options.warn = [log](std::string_view message) { log(LogLevel::Warning, message); };
        options.inform = [log](std::string_view message) { log(LogLevel::Info, message); };
        bool for_ever = true;
        if (by_bpf) {
            Result<BpfCounting> counter = make_bpf_usage_counter(topology, options);
            if (counter) return std::move(*counter);
            reason = counter.error().message;
            for_ever = counter.error().kind == ErrorKind::Denied;
        }
        if (for_ever)
            end_kept_counting(options);
        else if (has_kept_counting(options))
            reason += "; what a daemon before this one counts is left for the next one";
    }
    bool wished = config.counter == CounterChoice::Proc || !privileged;
    log(wished ? LogLevel::Info : LogLevel::Warning,
        fmt::format("CPU use is counted from /proc, which loses what a domain uses at its end: {}", reason));
    return {std::make_unique<ProcUsageCounter>("/", topology, read_process_clock), nullptr};
}

EngineOptions engine_options(const Config& config, const std::filesystem::path& config_dir, bool privileged,
                             const Log& log) {
    EngineOptions options;
    options.modelled = config.modelled;
    options.model = config.model;
    options.log = log;
    // Another root than the kernel's is a test's: its joules are no host's.
    bool simulated = config.root != "/";
    if (simulated) options.source_prefix = "simulated-";
    bool perf = config.perf && privileged && !simulated;
    options.discover = [config, perf](const Warn& warn) {
        Sensors sensors;
        if (config.powercap) sensors = discover_powercap(config.root, warn);
        if (perf)
            for (auto& sensor : discover_power_pmu(config.root, PerfSystem::kernel(), warn))
                sensors.push_back(std::move(sensor));
        return sensors;
    };
    auto static_power = std::make_shared<StaticPower>(config_dir / calibration_file_name,
                                                      of_machine(read_machine_id("/")), boottime_ns);
    options.add_static = [static_power](std::vector<ZoneReading>& zones, const Warn& warn) {
        static_power->add(zones, warn);
    };
    options.weighing = [static_power] { return static_power->weighing(); };
    return options;
}

void add_knobs(EngineOptions& options, const std::shared_ptr<HostKnobs>& knobs) {
    options.refresh_state = [knobs] { knobs->refresh_state(); };
    options.add_state = [knobs](HostReading& host, const CpuTopology& topology) {
        knobs->add_state(host, topology);
    };
}

HostPower* open_power(const HostPowerOptions* options) {
    if (!options || options->struct_size < sizeof(HostPowerOptions) || !options->log ||
        !options->config_dir || !options->state_dir)
        return nullptr;
    auto power = std::make_unique<HostPower>();
    power->log = [log = options->log, opaque = options->log_opaque](LogLevel level,
                                                                    std::string_view message) {
        log(opaque, to_level(level), printable(message).c_str());
    };
    return guarded<HostPower*>(power.get(), nullptr, [&] {
        const Log& log = power->log;
        const std::filesystem::path config_dir = options->config_dir;
        power->config = load_config(config_dir / "host-power.conf",
                                    [&log](std::string_view message) { log(LogLevel::Warning, message); });
        bool privileged = options->privileged != 0;
        auto topology = std::make_unique<CpuTopology>("/");
        if (Result<bool> read = topology->refresh(); !read) {
            log(LogLevel::Error, read.error().message);
            return static_cast<HostPower*>(nullptr);
        }
        BpfCounting counted = make_counter(power->config, privileged, options->state_dir, *topology, log);
        DomainRegistry::Limits limits{power->config.keep_seconds * ns_per_s, power->config.keep_max};
        auto usage = std::make_unique<UsageKeeper>(std::move(topology), std::move(counted.counter), limits,
                                                   boottime_ns);
        KnobOptions knob_options;
        knob_options.root = power->config.root;
        knob_options.state_dir = options->state_dir;
        knob_options.boot_id = read_boot_id("/");
        knob_options.log = log;
        power->knobs = std::make_shared<HostKnobs>(std::move(knob_options));
        EngineOptions engine = engine_options(power->config, config_dir, privileged, log);
        add_knobs(engine, power->knobs);
        engine.zone_memory = std::move(counted.zones);
        power->engine = std::make_unique<PowerEngine>(std::move(usage), std::move(engine));
        return power.release();
    });
}

void close_power(HostPower* power) {
    guarded(power, 0, [&] {
        delete power;
        return 0;
    });
}

int domain_started(HostPower* power, const unsigned char* uuid, const char* name, int64_t pid) {
    if (!power || !uuid || !name || pid <= 0) return -1;
    return guarded(power, -1, [&] {
        Result<Process> process = find_process("/", static_cast<pid_t>(pid));
        Status started = process ? power->engine->usage().domain_started(to_uuid(uuid), name, *process)
                                 : Status(process.error());
        if (started) return 0;
        bool ended = started.error().kind == ErrorKind::Gone;
        power->log(LogLevel::Warning,
                   fmt::format("domain {} (process {}) {}: {}", name, pid,
                               ended ? "has ended, and what was counted of it is with the departed ones"
                                     : "is not counted",
                               started.error().message));
        return -1;
    });
}

void domain_stopped(HostPower* power, const unsigned char* uuid) {
    if (!power || !uuid) return;
    guarded(power, 0, [&] {
        power->engine->usage().domain_stopped(to_uuid(uuid));
        return 0;
    });
}

/// One reading in ten seconds for all read-only connections together.
std::shared_ptr<const Snapshot> coarse_snapshot(HostPower& power) {
    std::lock_guard lock(power.coarse_mutex);
    uint64_t now_ns = boottime_ns();
    if (!power.coarse || now_ns - power.coarse_ns >= coarse_interval_ns) {
        power.coarse = power.engine->snapshot();
        power.coarse_ns = now_ns;
    }
    return power.coarse;
}

void fill(HostPowerSnapshot& result, HostPower& power, bool read_only) {
    ReadOnlyRule rule = read_only ? power.config.read_only : ReadOnlyRule::Full;
    if (rule == ReadOnlyRule::Deny) {
        result.status = "denied";
        return;
    }
    if (rule == ReadOnlyRule::Coarse) result.interval_ns = coarse_interval_ns;
    result.snapshot = rule == ReadOnlyRule::Coarse ? coarse_snapshot(power) : power.engine->snapshot();
    if (!result.snapshot || !result.snapshot->valid)
        result.snapshot.reset();
    else
        result.status = result.snapshot->any_counted() ? "ok" : "no-source";
}

HostPowerSnapshot* take_snapshot(HostPower* power, uint32_t flags) {
    if (!power) return nullptr;
    auto* result = new (std::nothrow) HostPowerSnapshot;
    if (!result) return nullptr;
    guarded(power, 0, [&] {
        fill(*result, *power, (flags & HOST_POWER_SNAPSHOT_READ_ONLY) != 0);
        return 0;
    });
    return result;
}

void free_snapshot(HostPowerSnapshot* snapshot) { delete snapshot; }

const char* snapshot_status(const HostPowerSnapshot* snapshot) {
    return snapshot ? snapshot->status : "error";
}

int emit_host(const HostPowerSnapshot* snapshot, HostPowerVisible visible, HostPowerEmit emit, void* opaque) {
    if (!snapshot || !snapshot->snapshot || !visible || !emit) return 0;
    return guarded(nullptr, -1, [&] {
        HostReading host = snapshot->snapshot->host;
        host.interval_ns = snapshot->interval_ns;
        for (const DepartedDomain& domain : snapshot->snapshot->departed)
            if (visible(opaque, domain.uuid.data(), domain.usage.name.c_str()) == 1)
                host.departed.push_back(domain.usage);
        EmitSink sink(emit, opaque);
        return encode_host(host, std::ref(sink)) ? 0 : -1;
    });
}

int emit_domain(const HostPowerSnapshot* snapshot, const unsigned char* uuid, HostPowerEmit emit,
                void* opaque) {
    if (!snapshot || !snapshot->snapshot || !uuid || !emit) return 0;
    return guarded(nullptr, -1, [&] {
        std::optional<DomainFigures> found = snapshot->snapshot->domains.find(to_uuid(uuid));
        if (!found) return 0;
        EmitSink sink(emit, opaque);
        return encode_domain(*found, std::ref(sink)) ? 0 : -1;
    });
}

int has_others(const HostPowerSnapshot* snapshot, const unsigned char* uuids, size_t nuuids) {
    if (!snapshot || !snapshot->snapshot || (nuuids > 0 && !uuids)) return 0;
    return guarded(nullptr, 0, [&] {
        const DomainUsages& domains = snapshot->snapshot->domains;
        size_t known = 0;
        for (size_t n = 0; n < nuuids; n++)
            if (domains.contains(to_uuid(uuids + n * HOST_POWER_UUID_LENGTH))) known++;
        return known < domains.size() ? 1 : 0;
    });
}

std::optional<std::string> to_target(const char* target) {
    return target ? std::optional<std::string>(target) : std::nullopt;
}

/// A call whose failure has a sentence: exactly one reaches the caller.
template <typename Function>
int with_failure(HostPowerFail fail, void* opaque, Function function) noexcept {
    auto failed = [&](HostPowerError error, const char* sentence) {
        constexpr size_t longest = 2000;
        try {
            // Names in it may be a driver's own.
            fail(opaque, error, printable(sentence, longest).c_str());
        } catch (...) {
            fail(opaque, error, "out of memory");
        }
        return -1;
    };
    try {
        function();
        return 0;
    } catch (const KnobError& error) {
        return failed(to_error(error.kind()), error.what());
    } catch (const std::exception& exception) {
        return failed(HOST_POWER_ERROR_SYSTEM, exception.what());
    } catch (...) {
        return failed(HOST_POWER_ERROR_SYSTEM, "an exception of no known kind");
    }
}

int knob_get(HostPower* power, HostPowerKnob knob, const char* target, uint32_t flags, HostPowerEmit emit,
             HostPowerFail fail, void* opaque) {
    std::optional<KnobTopic> topic = topic_of(knob);
    if (!power || !topic || !emit || !fail) return -1;
    return with_failure(fail, opaque, [&] {
        bool read_only = (flags & HOST_POWER_KNOB_READ_ONLY) != 0;
        ReadOnlyRule rule = read_only ? power->config.read_only : ReadOnlyRule::Full;
        emit_params(power->knobs->get(*topic, to_target(target), rule), emit, opaque);
    });
}

int knob_set(HostPower* power, HostPowerKnob knob, const char* target, const HostPowerParam* params,
             size_t nparams, uint32_t flags, const char* who, HostPowerEmit emit, HostPowerFail fail,
             void* opaque) {
    std::optional<KnobTopic> topic = topic_of(knob);
    if (!power || !topic || (nparams > 0 && !params) || !who || !emit || !fail) return -1;
    return with_failure(fail, opaque, [&] {
        KnobOrder order;
        order.topic = *topic;
        order.target = to_target(target);
        for (size_t n = 0; n < nparams; n++) order.params.push_back(to_param(params[n]));
        order.restore = (flags & HOST_POWER_KNOB_RESTORE) != 0;
        order.all_packages = (flags & HOST_POWER_KNOB_ALL_PACKAGES) != 0;
        order.who = who;
        emit_params(power->knobs->set(order), emit, opaque);
    });
}

constexpr HostPowerPlugin plugin = {
    HOST_POWER_PLUGIN_ABI_VERSION,
    sizeof(HostPowerPlugin),
    open_power,
    close_power,
    domain_started,
    domain_stopped,
    take_snapshot,
    free_snapshot,
    snapshot_status,
    emit_host,
    emit_domain,
    has_others,
    knob_get,
    knob_set,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const HostPowerPlugin* host_power_plugin(void);
extern "C" const HostPowerPlugin* host_power_plugin(void) { return &plugin; }
