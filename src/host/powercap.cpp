// SPDX-License-Identifier: LGPL-2.1-or-later
#include "powercap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

/// A package never draws more for longer than a moment than this many times the
/// power that its driver calls the highest (mostly the TDP).
constexpr uint64_t peak_factor = 4;
/// Ids of packages and dies are the kernel's int.
constexpr uint64_t max_id = INT32_MAX;
constexpr uint64_t plausible_limit_uw = 1'000'000'000;
constexpr std::string_view main_control_type = "intel-rapl";

class PowercapSensor : public EnergySensor {
public:
    PowercapSensor(const std::filesystem::path& directory, SensorInfo info)
        : file_(directory / "energy_uj"), info_(std::move(info)) {}

    [[nodiscard]] const SensorInfo& info() const override { return info_; }
    [[nodiscard]] Result<uint64_t> read_uj() override { return read_u64(file_); }

private:
    std::filesystem::path file_;
    SensorInfo info_;
};

/// A zone directory's name is CONTROL:N or CONTROL:N:M for a subzone.
std::string_view control_type(std::string_view directory) { return directory.substr(0, directory.find(':')); }

bool is_subzone(std::string_view directory) {
    return std::count(directory.begin(), directory.end(), ':') > 1;
}

std::string parent_of(std::string_view directory) {
    return is_subzone(directory) ? std::string(directory.substr(0, directory.rfind(':'))) : std::string();
}

/// More than the zone can draw, by what its first constraints say.
uint64_t max_power_uw(const std::filesystem::path& directory) {
    uint64_t highest_uw = 0;
    for (int constraint = 0; constraint < 3; constraint++) {
        std::string prefix = fmt::format("constraint_{}_", constraint);
        for (const char* file : {"max_power_uw", "power_limit_uw"}) {
            Result<uint64_t> uw = read_u64(directory / (prefix + file));
            if (uw && *uw <= plausible_limit_uw) highest_uw = std::max(highest_uw, *uw);
        }
    }
    return highest_uw ? highest_uw * peak_factor : default_max_power_uw;
}

std::string zone_type(std::string_view name) {
    return parse_package_name(name) ? "package" : std::string(name);
}

class ZoneList {
public:
    ZoneList(const std::filesystem::path& root, const Warn& warn)
        : base_(root / powercap_directory), warn_(warn) {}

    std::vector<PowercapZone> run() {
        for (const std::string& directory : list_directory(base_))
            if (directory.find(':') != std::string::npos) add(directory);
        return std::move(zones_);
    }

private:
    void add(const std::string& directory) {
        std::error_code error;
        std::filesystem::path real = std::filesystem::canonical(base_ / directory, error);
        if (error || !seen_.insert(real.string()).second) return;
        Result<std::string> text = read_kernel_file(base_ / directory / "name");
        if (!text) return warn_(text.error().message);
        PowercapZone zone{directory,
                          std::string(control_type(directory)),
                          parent_of(directory),
                          std::string(trim(*text)),
                          {}};
        zone.name = unique_name(zone);
        zones_.push_back(std::move(zone));
    }

    std::string unique_name(const PowercapZone& zone) {
        std::string name = zone.own_name;
        if (names_.contains(zone.parent))
            name = names_[zone.parent] + "/" + zone.own_name;
        else if (zone.control_type != main_control_type)
            name = fmt::format("{}/{}", zone.control_type, zone.own_name);
        if (!taken_.insert(name).second) {
            name = fmt::format("{} ({})", name, zone.directory);
            taken_.insert(name);
        }
        return names_[zone.directory] = name;
    }

    std::filesystem::path base_;
    const Warn& warn_;
    std::vector<PowercapZone> zones_;
    std::set<std::string> seen_, taken_;
    std::map<std::string, std::string> names_;  // by directory
};

}  // namespace

std::optional<PackageName> parse_package_name(std::string_view name) {
    constexpr std::string_view package = "package-";
    constexpr std::string_view die = "-die-";
    if (!name.starts_with(package)) return std::nullopt;
    name.remove_prefix(package.size());
    size_t split = name.find(die);
    Result<uint64_t> id = parse_u64(name.substr(0, split));
    if (!id || *id > max_id) return std::nullopt;
    PackageName result{static_cast<int64_t>(*id), std::nullopt};
    if (split != std::string_view::npos) {
        Result<uint64_t> die_id = parse_u64(name.substr(split + die.size()));
        if (!die_id || *die_id > max_id) return std::nullopt;
        result.die_id = static_cast<int64_t>(*die_id);
    }
    return result;
}

std::vector<PowercapZone> list_powercap_zones(const std::filesystem::path& root, const Warn& warn) {
    return ZoneList(root, warn).run();
}

Sensors discover_powercap(const std::filesystem::path& root, const Warn& warn) {
    Sensors sensors;
    std::map<std::string, PackageName> packages;  // by directory
    for (const PowercapZone& zone : list_powercap_zones(root, warn)) {
        std::filesystem::path directory = root / powercap_directory / zone.directory;
        SensorInfo info;
        info.name = zone.name;
        info.type = zone_type(zone.own_name);
        info.source = "powercap";
        std::optional<PackageName> package = parse_package_name(zone.own_name);
        if (!package && packages.contains(zone.parent)) package = packages[zone.parent];
        if (package) {
            info.package_id = package->package_id;
            info.die_id = package->die_id;
            packages[zone.directory] = *package;
        }
        // MMIO is another way to the same counter.
        info.preference = zone.control_type == main_control_type ? 0 : 1;
        if (Result<uint64_t> range = read_u64(directory / "max_energy_range_uj")) info.range_uj = *range;
        info.max_power_uw = max_power_uw(directory);
        sensors.push_back(std::make_shared<PowercapSensor>(directory, std::move(info)));
    }
    return sensors;
}

}  // namespace virt_power
