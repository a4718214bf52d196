// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The BPF program (bpf/cpu_usage.bpf.c) at work, its maps in this process's memory, and their pins,
/// by which a daemon takes over what the one before it counted. bpf(2)
#ifndef VIRT_POWER_HOST_USAGE_MAPS_HPP
#define VIRT_POWER_HOST_USAGE_MAPS_HPP

#include <bpf/libbpf.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bpf/cpu_usage.h"
#include "cpu_topology.hpp"
#include "mapped_array.hpp"
#include "pin_directory.hpp"
#include "zone_memory.hpp"

namespace virt_power {

struct UsageMapsOptions {
    std::filesystem::path root = "/";  ///< of /proc
    std::filesystem::path bpf_fs;      ///< where maps are pinned; empty: nowhere
    std::filesystem::path state_dir;   ///< whose pins they are
    bool count_cycles = false;
    std::function<void(std::string_view)> warn = [](std::string_view) {};
    std::function<void(std::string_view)> inform = [](std::string_view) {};
};

/// Threads: one call at a time; as ZoneMemory for another thread.
class UsageMaps : public ZoneMemory {
public:
    /// Loads the program and attaches it. Goes on with the maps that are pinned, if they are of this boot and
    /// layout; begins anew if not, and says so.
    static Result<std::shared_ptr<UsageMaps>> open(const UsageMapsOptions& given);

    /// What is counted began with a daemon before this one.
    [[nodiscard]] bool taken_over() const { return taken_over_; }

    /// CPUs that were ever seen online since counting began, and their packages.
    [[nodiscard]] std::vector<KnownCpu> known_cpus() const;

    [[nodiscard]] cpu_usage_settings& settings() { return settings_[0]; }
    [[nodiscard]] uint32_t cpu_count() const { return static_cast<uint32_t>(cpus_.size()); }
    [[nodiscard]] cpu_usage_cpu& cpu(uint32_t number) { return cpus_[number]; }
    [[nodiscard]] cpu_usage_value& value(uint32_t cpu, uint32_t slot) { return cpus_[cpu].usage[slot]; }
    [[nodiscard]] cpu_usage_domain& domain(uint32_t slot) { return domains_[slot]; }
    [[nodiscard]] int owners() const { return owners_; }
    [[nodiscard]] int cgroup_owners() const { return cgroup_owners_; }
    [[nodiscard]] int cycle_events() const { return cycle_events_; }

    /// After each change of the two maps of owners or of the depths of cgroups: the program remembers what it
    /// found there.
    void owners_changed();

    /// Charges what runs on a CPU until now. When it returns, no program that began before runs there.
    void charge_running(uint32_t cpu) const;

    [[nodiscard]] std::optional<EnergyCounter::State> find(std::string_view name,
                                                           std::string_view source) override;
    void keep(std::string_view name, std::string_view source, const EnergyCounter::State& state) override;

private:
    struct ObjectCloser {
        void operator()(bpf_object* object) const { bpf_object__close(object); }
    };
    struct LinkCloser {
        void operator()(bpf_link* link) const { bpf_link__destroy(link); }
    };

    Status load(const UsageMapsOptions& options);
    Status open_object();
    [[nodiscard]] Status reuse_pins(const UsageMapsOptions& options);
    Status pin_maps();
    Status map_memory();
    void begin(const UsageMapsOptions& options);
    void give_up_pins(const UsageMapsOptions& options, const Error& why);
    Status attach(const UsageMapsOptions& options);
    Status pin_link();
    [[nodiscard]] std::string damage();
    void index_zones();
    cpu_usage_zone* zone_of(std::string_view name, std::string_view source);

    std::optional<PinDirectory> pins_;
    std::unique_ptr<bpf_object, ObjectCloser> object_;
    std::unique_ptr<bpf_link, LinkCloser> link_;
    MappedArray<cpu_usage_cpu> cpus_;
    MappedArray<cpu_usage_settings> settings_;
    MappedArray<cpu_usage_domain> domains_;
    MappedArray<cpu_usage_zone> zones_;
    std::unordered_map<std::string, size_t> zone_index_;
    int owners_ = -1;
    int cgroup_owners_ = -1;
    int cycle_events_ = -1;
    int charge_running_ = -1;
    bool taken_over_ = false;
};

}  // namespace virt_power

#endif
