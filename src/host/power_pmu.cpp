// SPDX-License-Identifier: LGPL-2.1-or-later
#include "power_pmu.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <map>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

struct EventKind {
    const char* event;
    const char* type;
};
constexpr std::array<EventKind, 4> event_kinds = {
    {{"energy-pkg", "package"}, {"energy-ram", "dram"}, {"energy-cores", "core"}, {"energy-gpu", "uncore"}}};

class PerfSensor : public EnergySensor {
public:
    PerfSensor(const PerfSystem& perf, FileDescriptor event, double scale, SensorInfo info)
        : perf_(perf), event_(std::move(event)), scale_(scale), info_(std::move(info)) {}

    [[nodiscard]] const SensorInfo& info() const override { return info_; }
    [[nodiscard]] Result<uint64_t> read_uj() override {
        Result<uint64_t> count = perf_.read(event_);
        if (!count) return count.error();
        return scaled_uj(*count, scale_);
    }

private:
    const PerfSystem& perf_;
    FileDescriptor event_;
    double scale_;
    SensorInfo info_;
};

Result<double> read_scale(const std::filesystem::path& path) {
    Result<std::string> text = read_kernel_file(path);
    if (!text) return text.error();
    std::string_view digits = trim(*text);
    double scale = 0;
    auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), scale);
    if (error != std::errc{} || stop != digits.data() + digits.size() || !(scale > 0) || scale > 1)
        return Error{ErrorKind::Malformed, 0, fmt::format("{}: not a scale", path.string())};
    return scale;
}

class PmuDiscovery {
public:
    PmuDiscovery(const std::filesystem::path& root, const PerfSystem& perf, const Warn& warn)
        : root_(root), pmu_(root / "sys/bus/event_source/devices/power"), perf_(perf), warn_(warn) {}

    Sensors run() {
        Result<uint64_t> type = read_u64(pmu_ / "type");
        if (!type) return {};  // no such PMU
        Result<std::string> mask = read_kernel_file(pmu_ / "cpumask");
        Result<std::vector<uint32_t>> cpus = mask ? parse_cpu_list(*mask) : mask.error();
        if (!cpus) {
            warn_(fmt::format("PMU power: {}", cpus.error().message));
            return {};
        }
        count_dies(*cpus);
        for (const EventKind& kind : event_kinds)
            if (Status added = add(kind, static_cast<uint32_t>(*type), *cpus); !added)
                warn_(fmt::format("PMU power, {}: {}", kind.event, added.error().message));
        return std::move(sensors_);
    }

private:
    [[nodiscard]] int64_t topology(uint32_t cpu, const char* file) const {
        Result<uint64_t> id =
            read_u64(root_ / fmt::format("sys/devices/system/cpu/cpu{}/topology/{}", cpu, file));
        return id ? static_cast<int64_t>(*id) : 0;
    }

    void count_dies(const std::vector<uint32_t>& cpus) {
        for (uint32_t cpu : cpus) dies_[topology(cpu, "physical_package_id")]++;
    }

    Status add(const EventKind& kind, uint32_t type, const std::vector<uint32_t>& cpus) {
        std::filesystem::path event = pmu_ / "events" / kind.event;
        Result<std::string> text = read_kernel_file(event);
        if (!text) return text.error().kind == ErrorKind::Gone ? ok() : Status(text.error());
        Result<uint64_t> config = parse_event_config(*text);
        if (!config) return config.error();
        Result<double> scale = read_scale(event.string() + ".scale");
        if (!scale) return scale.error();
        Result<std::string> unit = read_kernel_file(event.string() + ".unit");
        if (!unit || trim(*unit) != "Joules") return Error{ErrorKind::Malformed, 0, "its unit is not Joules"};
        for (uint32_t cpu : cpus) {
            Result<FileDescriptor> opened = perf_.open({type, *config, false}, cpu);
            if (!opened) return opened.error();
            sensors_.push_back(
                std::make_shared<PerfSensor>(perf_, std::move(*opened), *scale, info(kind, cpu)));
        }
        return ok();
    }

    [[nodiscard]] SensorInfo info(const EventKind& kind, uint32_t cpu) const {
        SensorInfo info;
        info.type = kind.type;
        info.source = "perf";
        info.preference = 2;
        info.package_id = topology(cpu, "physical_package_id");
        std::string package = fmt::format("package-{}", *info.package_id);
        if (dies_.at(*info.package_id) > 1) {
            info.die_id = topology(cpu, "die_id");
            package += fmt::format("-die-{}", *info.die_id);
        }
        info.name = "perf/" + package;
        if (info.type != "package") info.name += "/" + info.type;
        info.outlives_us = false;                  // it counts from when it was opened
        info.max_power_uw = default_max_power_uw;  // no range: the kernel's counts have 64 bits
        return info;
    }

    std::filesystem::path root_, pmu_;
    const PerfSystem& perf_;
    const Warn& warn_;
    std::map<int64_t, int> dies_;
    Sensors sensors_;
};

}  // namespace

Result<uint64_t> parse_event_config(std::string_view text) {
    // The PMU's own format directory says event: config:0-7, umask: config:8-15.
    uint64_t config = 0;
    std::string_view rest = trim(text);
    while (!rest.empty()) {
        size_t comma = rest.find(',');
        std::string_view term = rest.substr(0, comma);
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        unsigned shift = 0;
        if (term.starts_with("umask="))
            shift = 8;
        else if (!term.starts_with("event="))
            return Error{ErrorKind::Malformed, 0, "its configuration is not understood"};
        term.remove_prefix(6);
        int base = term.starts_with("0x") ? 16 : 10;
        if (base == 16) term.remove_prefix(2);
        uint64_t value = 0;
        auto [stop, error] = std::from_chars(term.data(), term.data() + term.size(), value, base);
        if (term.empty() || error != std::errc{} || stop != term.data() + term.size() || value > 0xff)
            return Error{ErrorKind::Malformed, 0, "its configuration is not understood"};
        config |= value << shift;
    }
    if (trim(text).empty()) return Error{ErrorKind::Malformed, 0, "its configuration is empty"};
    return config;
}

uint64_t scaled_uj(uint64_t count, double scale) {
    // 64 bits of mantissa: exact for the kernel's scale, 2^-32.
    long double uj = static_cast<long double>(count) * static_cast<long double>(scale) * 1e6L;
    constexpr long double limit = 9.2e18L;
    return static_cast<uint64_t>(uj < limit ? uj : limit);
}

Sensors discover_power_pmu(const std::filesystem::path& root, const PerfSystem& perf, const Warn& warn) {
    return PmuDiscovery(root, perf, warn).run();
}

}  // namespace virt_power
