// SPDX-License-Identifier: LGPL-2.1-or-later
#include "usage_maps.hpp"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "clock.hpp"
#include "cpu_usage_object.h"
#include "kernel_file.hpp"
#include "libbpf_messages.hpp"

namespace virt_power {
namespace {

/// A megawatt for a century.
constexpr uint64_t most_energy_uj = 4'000'000'000'000'000'000;

constexpr const char* link_pin = "on_switch";
constexpr const char* next_link_pin = "on_switch_next";

std::string boot_id(const std::filesystem::path& root) {
    Result<std::string> text = read_kernel_file(root / "proc/sys/kernel/random/boot_id");
    return text ? std::string(trim(*text)) : std::string();
}

/// Those that the program was written with, not libbpf's own.
template <typename Function>
void each_map(bpf_object* object, Function function) {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) if (!bpf_map__is_internal(map)) function(map);
}

/// Empty if the map that is pinned is as this one will be.
std::string difference(const bpf_map* map, int pinned) {
    bpf_map_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(pinned, &info, &size) != 0)
        return fmt::format("{} is no map", bpf_map__name(map));
    if (info.type == bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
        info.value_size == bpf_map__value_size(map) && info.max_entries == bpf_map__max_entries(map) &&
        info.map_flags == bpf_map__map_flags(map))
        return {};
    return fmt::format("the map {} has another layout", bpf_map__name(map));
}

/// What is in a map of one entry.
std::string settings_difference(int pinned, const UsageMapsOptions& options) {
    cpu_usage_settings settings{};
    uint32_t zero = 0;
    if (bpf_map_lookup_elem(pinned, &zero, &settings) != 0) return "settings cannot be read";
    settings.boot_id[sizeof(settings.boot_id) - 1] = '\0';
    if (settings.layout != CPU_USAGE_LAYOUT) return "it has another layout, or was not finished";
    if (settings.boot_id != boot_id(options.root)) return "it is of another boot";
    if ((settings.count_cycles != 0) != options.count_cycles)
        return options.count_cycles ? "cycles can be counted now, and could not then"
                                    : "cycles were counted then, and cannot be now";
    return {};
}

/// Whatever is pinned, it cannot be looked at just now.
bool is_passing(int error_number) {
    return error_number == EMFILE || error_number == ENFILE || error_number == ENOMEM ||
           error_number == EPERM;
}

std::string zone_key(std::string_view name, std::string_view source) {
    return fmt::format("{}\n{}", source, name);
}

}  // namespace

Result<std::shared_ptr<UsageMaps>> UsageMaps::open(const UsageMapsOptions& given) {
    LibbpfMessages messages;
    // Where nothing can be counted it does not matter what cannot be pinned.
    std::vector<std::string> warnings;
    UsageMapsOptions options = given;
    options.warn = [&warnings](std::string_view message) { warnings.emplace_back(message); };
    auto maps = std::make_shared<UsageMaps>();
    if (!options.bpf_fs.empty()) {
        Result<PinDirectory> pins =
            PinDirectory::open(options.bpf_fs, PinDirectory::name_of(options.state_dir));
        if (pins)
            maps->pins_ = std::move(*pins);
        else
            options.warn(
                fmt::format("{}: what is counted does not outlive this daemon", pins.error().message));
    }
    if (Status loaded = maps->load(options); !loaded) return loaded.error();
    if (maps->taken_over_)
        if (std::string damaged = maps->damage(); !damaged.empty()) {
            options.warn(
                fmt::format("{}: {}; counting begins anew", maps->pins_->directory().string(), damaged));
            if (Status cleared = maps->pins_->clear(); !cleared) maps->give_up_pins(options, cleared.error());
            if (Status again = maps->load(options); !again) return again.error();
        }
    if (Status attached = maps->attach(options); !attached) return attached.error();
    for (const std::string& warning : warnings) given.warn(warning);
    return maps;
}

/// Where some are left over, they are no whole that another daemon could take for one.
void UsageMaps::give_up_pins(const UsageMapsOptions& options, const Error& why) {
    options.warn(fmt::format("{}; what is counted does not outlive this daemon", why.message));
    (void)pins_->clear();
    pins_.reset();
}

Status UsageMaps::load(const UsageMapsOptions& options) {
    taken_over_ = false;
    if (Status opened = open_object(); !opened) return opened;
    Result<std::vector<std::string>> there = std::vector<std::string>{};
    if (pins_) there = pins_->pins();
    if (!there) {
        options.warn(fmt::format("{}; what is counted does not outlive this daemon", there.error().message));
        pins_.reset();
    } else if (!there->empty()) {
        Status reused = reuse_pins(options);
        taken_over_ = reused.has_value();
        if (!reused && reused.error().kind == ErrorKind::Transient) {
            // They may be whole: a later daemon may have them.
            options.warn(
                fmt::format("{}; what is counted does not outlive this daemon", reused.error().message));
            pins_.reset();
            if (Status opened = open_object(); !opened) return opened;
        } else if (!reused) {
            options.inform(fmt::format("{}: {}; counting begins anew", pins_->directory().string(),
                                       reused.error().message));
            if (Status cleared = pins_->clear(); !cleared) give_up_pins(options, cleared.error());
            // Maps that were taken so far stay with the object.
            if (Status opened = open_object(); !opened) return opened;
        }
    }
    if (int error = bpf_object__load(object_.get()); error != 0) return libbpf_error(-error, "load");
    if (pins_ && !taken_over_)
        if (Status pinned = pin_maps(); !pinned) give_up_pins(options, pinned.error());
    if (Status mapped = map_memory(); !mapped) return mapped;
    if (!taken_over_) begin(options);
    owners_changed();  // the daemon before may have ended between a change and this
    index_zones();
    return ok();
}

Status UsageMaps::open_object() {
    size_t size = 0;
    const void* bytes = cpu_usage_object(&size);
    LIBBPF_OPTS(bpf_object_open_opts, open);
    open.object_name = "virt_power";
    object_.reset(bpf_object__open_mem(bytes, size, &open));
    if (!object_) return libbpf_error(errno, "open");
    auto cpus = static_cast<uint32_t>(std::max(libbpf_num_possible_cpus(), 1));
    (void)bpf_map__set_max_entries(bpf_object__find_map_by_name(object_.get(), "cpus"), cpus);
    (void)bpf_map__set_max_entries(bpf_object__find_map_by_name(object_.get(), "cycle_events"), cpus);
    return ok();
}

Status UsageMaps::reuse_pins(const UsageMapsOptions& options) {
    std::string problem;
    bool passing = false;
    if (boot_id(options.root).empty())
        return Error{ErrorKind::Transient, 0, "the boot's id cannot be read: what is pinned is left alone"};
    auto get = [&](const char* name) {
        FileDescriptor pinned(bpf_obj_get(pins_->path(name).c_str()));
        if (pinned) return pinned;
        problem = fmt::format("{}: {}", name, error_text(errno));
        passing = is_passing(errno);
        return pinned;
    };
    (void)get(link_pin);  // else nothing was counted meanwhile
    each_map(object_.get(), [&](bpf_map* map) {
        if (!problem.empty()) return;
        FileDescriptor pinned = get(bpf_map__name(map));
        if (!pinned) return;
        problem = difference(map, pinned.get());
        if (problem.empty() && std::string_view(bpf_map__name(map)) == "settings")
            problem = settings_difference(pinned.get(), options);
        if (problem.empty() && bpf_map__reuse_fd(map, pinned.get()) != 0) {
            problem = fmt::format("{}: cannot be used again: {}", bpf_map__name(map), error_text(errno));
            passing = is_passing(errno);
        }
    });
    if (problem.empty()) return ok();
    return Error{passing ? ErrorKind::Transient : ErrorKind::Malformed, 0,
                 "what is pinned there cannot be taken over: " + problem};
}

Status UsageMaps::pin_maps() {
    Status done = ok();
    each_map(object_.get(), [&](bpf_map* map) {
        std::filesystem::path path = pins_->path(bpf_map__name(map));
        if (done && bpf_obj_pin(bpf_map__fd(map), path.c_str()) != 0) done = system_error(errno, "pin", path);
    });
    return done;
}

Status UsageMaps::map_memory() {
    auto descriptor = [&](const char* name) { return bpf_object__find_map_fd_by_name(object_.get(), name); };
    auto take = [&](auto& array, const char* name) -> Status {
        bpf_map* map = bpf_object__find_map_by_name(object_.get(), name);
        auto mapped =
            std::remove_reference_t<decltype(array)>::map(bpf_map__fd(map), bpf_map__max_entries(map));
        if (!mapped) return mapped.error();
        array = std::move(*mapped);
        return ok();
    };
    for (const Status& status :
         {take(cpus_, "cpus"), take(settings_, "settings"), take(domains_, "domains"), take(zones_, "zones")})
        if (!status) return status;
    owners_ = descriptor("owners");
    cgroup_owners_ = descriptor("cgroup_owners");
    cycle_events_ = descriptor("cycle_events");
    charge_running_ = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), "charge_running"));
    return ok();
}

/// The layout last: without it, nobody takes over what is not finished.
void UsageMaps::begin(const UsageMapsOptions& options) {
    cpu_usage_settings& set = settings();
    std::string boot = boot_id(options.root);
    std::memcpy(set.boot_id, boot.data(), std::min(boot.size(), sizeof(set.boot_id) - 1));
    set.count_cycles = options.count_cycles ? 1 : 0;
    for (uint32_t number = 0; number < cpu_count(); number++) cpu(number).count_cycles = set.count_cycles;
    set.shared_q20 = set.cycle_q20 = CPU_USAGE_Q20;
    set.epoch = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    set.start_ns = boottime_ns();
    store_last(set.layout, uint32_t{CPU_USAGE_LAYOUT});
}

/// Where a program before ours still counts, both do for a moment: what one has charged the other finds
/// charged.
Status UsageMaps::attach(const UsageMapsOptions& options) {
    bpf_program* program = bpf_object__find_program_by_name(object_.get(), "on_switch");
    link_.reset(bpf_program__attach(program));
    if (!link_) return libbpf_error(errno, "attach");
    if (!pins_) return ok();
    if (Status pinned = pin_link(); !pinned) give_up_pins(options, pinned.error());
    return ok();
}

Status UsageMaps::pin_link() {
    std::filesystem::path next = pins_->path(next_link_pin);
    (void)::unlink(next.c_str());
    if (bpf_obj_pin(bpf_link__fd(link_.get()), next.c_str()) != 0) return system_error(errno, "pin", next);
    if (std::rename(next.c_str(), pins_->path(link_pin).c_str()) != 0)
        return system_error(errno, "rename", next);
    return ok();
}

/// What no daemon leaves, however it ended; empty if there is none of it.
std::string UsageMaps::damage() {
    for (uint32_t slot = CPU_USAGE_SLOT_DOMAINS; slot < CPU_USAGE_SLOTS; slot++) {
        const cpu_usage_domain& kept = domains_[slot];
        if (kept.state == CPU_USAGE_CHANGING) return "the daemon before ended while it wrote";
        if (kept.state > CPU_USAGE_CHANGING || kept.label_size > CPU_USAGE_LABEL_SIZE)
            return fmt::format("slot {} holds what no daemon wrote", slot);
    }
    std::map<uint32_t, int64_t> packages;
    std::set<int64_t> ids;
    for (const cpu_usage_cpu& cpu : cpus_.all()) {
        if (cpu.package_plus_1 == 0) continue;
        auto [known, fresh] = packages.try_emplace(cpu.package_plus_1, cpu.package_id);
        if ((fresh && !ids.insert(cpu.package_id).second) || known->second != cpu.package_id)
            return "packages of CPUs contradict each other";
    }
    if (!packages.empty() && packages.rbegin()->first != packages.size()) return "a CPU has no such package";
    for (const cpu_usage_zone& zone : zones_.all())
        if (zone.name[sizeof(zone.name) - 1] != '\0' || zone.source[sizeof(zone.source) - 1] != '\0')
            return "a zone has no name";
        else if (zone.energy_uj > most_energy_uj)
            return "a zone has more energy than can be";
    return {};
}

std::vector<KnownCpu> UsageMaps::known_cpus() const {
    std::vector<KnownCpu> known;
    for (uint32_t cpu = 0; cpu < cpu_count(); cpu++)
        if (cpus_[cpu].package_plus_1 > 0)
            known.push_back({cpu, cpus_[cpu].package_plus_1 - 1, cpus_[cpu].package_id});
    return known;
}

void UsageMaps::owners_changed() {
    for (uint32_t cpu = 0; cpu < cpu_count(); cpu++)
        store_last(cpus_[cpu].owners_version, cpus_[cpu].owners_version + 1);
}

void UsageMaps::charge_running(uint32_t cpu) const {
    LIBBPF_OPTS(bpf_test_run_opts, run);
    run.flags = BPF_F_TEST_RUN_ON_CPU;
    run.cpu = cpu;
    // A CPU that goes offline just now has nothing that runs.
    (void)bpf_prog_test_run_opts(charge_running_, &run);
}

void UsageMaps::index_zones() {
    zone_index_.clear();
    for (size_t n = 0; n < zones_.size() && zones_[n].name[0] != '\0'; n++)
        zone_index_[zone_key(zones_[n].name, zones_[n].source)] = n;
}

/// Null without room, or where the name has none.
cpu_usage_zone* UsageMaps::zone_of(std::string_view name, std::string_view source) {
    std::string key = zone_key(name, source);
    if (auto found = zone_index_.find(key); found != zone_index_.end()) return &zones_[found->second];
    size_t next = zone_index_.size();
    if (next >= zones_.size() || name.size() >= sizeof(cpu_usage_zone::name) ||
        source.size() >= sizeof(cpu_usage_zone::source))
        return nullptr;
    cpu_usage_zone& zone = zones_[next];
    std::memcpy(zone.source, source.data(), source.size());
    zone.writing = 1;
    std::memcpy(zone.name, name.data(), name.size());
    zone_index_[key] = next;
    return &zone;
}

std::optional<EnergyCounter::State> UsageMaps::find(std::string_view name, std::string_view source) {
    auto found = zone_index_.find(zone_key(name, source));
    if (found == zone_index_.end()) return std::nullopt;
    const cpu_usage_zone& zone = zones_[found->second];
    EnergyCounter::State state{zone.raw_uj, zone.raw_ns, zone.energy_uj, zone.gaps, zone.moved != 0};
    if ((zone.writing & 1) != 0 || zone.raw_ns == 0) state.raw_uj.reset();
    return state;
}

/// Sums first: one that died in between leaves no sum that is too small, and is seen to have died.
void UsageMaps::keep(std::string_view name, std::string_view source, const EnergyCounter::State& state) {
    cpu_usage_zone* zone = zone_of(name, source);
    if (!zone) return;
    store_last(zone->writing, zone->writing | 1);
    store_last(zone->energy_uj, static_cast<unsigned long long>(state.energy_uj));
    zone->gaps = state.gaps;
    zone->moved = state.moved ? 1 : 0;
    zone->raw_uj = state.raw_uj.value_or(0);
    zone->raw_ns = state.raw_uj ? state.raw_ns : 0;
    store_last(zone->writing, (zone->writing | 1) + 1);
}

}  // namespace virt_power
