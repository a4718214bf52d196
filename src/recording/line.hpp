// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// One line of a recording, as it stands there: before it is put together with what
/// lines before it said. See docs/recording.md.
#ifndef VIRT_POWER_RECORDING_LINE_HPP
#define VIRT_POWER_RECORDING_LINE_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "virt-power/recording.hpp"

namespace virt_power {

/// No line is longer: what has no end of line within so many bytes is no recording.
inline constexpr size_t longest_line = size_t{16} << 20;

/// Nor has a list of a line more elements. libvirt gives 16,384 domains at most.
inline constexpr size_t most_elements = 100'000;

/// Thrown within this layer: what is wrong with a line.
struct BadLine {
    std::string reason;
};

enum class LineKind { Header, Sample, Error, Started, Tick, End };

/// The keys of a line, for the set of those that it has.
enum class Key : uint8_t {
    Format,
    Version,
    Program,
    DelayMs,
    Hosts,  // of the header
    Mark,
    Number,  // of marks
    Host,
    Error,
    Errno,
    Message,  // of errors
    Time,
    About,
    Zones,
    Packages,
    Domains,
    Running,
    Departed,
    Reading,
    PackageUse,
    ZoneEnergy,
    PackageFrequency,
    ZoneLimit,
    DepartedTotal,
    Use,
    DepartedUse,
    CpuTime,
    Notices,
    Weighing,
    PackageWeight,
    PackageShared,
    PackageSquared,
    DepartedTotalWeight,
    UseWeight,
    DepartedWeight,
    UseHelper,
    DepartedHelper,
    Vcpus,
    Memory,
    Unknown,
};

struct About {
    std::string host, uri, reason;
    uint32_t cpus = 0;
    EnergyStatus status = EnergyStatus::NoGroup;

    bool operator==(const About&) const = default;
};

/// A zone but for its counter.
struct ZoneFacts {
    std::string name, type, source;
    std::optional<uint32_t> package;
    bool counted = false;
    std::optional<uint64_t> static_uw;

    bool operator==(const ZoneFacts&) const = default;
};

/// A life of a domain that gets a number.
struct NumberedDomain {
    uint32_t number = 0;
    std::string name, uuid;
    uint64_t instance = 0;
    std::optional<UsageSource> usage_source;

    bool operator==(const NumberedDomain&) const = default;
};

struct ReadingFacts {
    uint64_t epoch = 0, time_ns = 0;
    UsageSource usage_source = UsageSource::Proc;
    std::optional<uint64_t> cycles_gaps, interval_ns;
    std::optional<uint32_t> vm_count;
};

struct ZoneCounter {
    std::optional<uint64_t> energy_uj;
    uint64_t gaps = 0;
};

/// Several lists in one: the end of each.
template <typename Item>
struct Lists {
    std::vector<Item> items;
    std::vector<size_t> ends;

    void clear() {
        items.clear();
        ends.clear();
    }
};

/// What may be absent of each thing of a list.
using Figures = std::vector<std::optional<uint64_t>>;

/// Keeps its memory from line to line. A member means something only if its key is there.
struct Line {
    LineKind kind = LineKind::Tick;
    uint64_t keys = 0;

    std::string format, program;
    uint64_t version = 0, delay_ms = 0;
    std::vector<std::string> hosts;

    std::string mark;
    uint64_t number = 0;

    uint64_t host = 0;
    virt_power::Error error;

    int64_t wall_ns = 0, monotonic_ns = 0;
    About about;
    std::vector<ZoneFacts> zones;
    std::vector<int64_t> packages;
    std::vector<NumberedDomain> domains;
    std::vector<uint32_t> running, departed;
    ReadingFacts reading;
    Lists<Usage> package_use;
    std::vector<ZoneCounter> zone_energy;
    Figures package_frequency_khz, zone_limit_uw;
    Lists<Usage> departed_total;
    Lists<Usage> use, departed_use;
    Figures cpu_time_ns;
    std::optional<Weighing> weighing;
    Lists<std::optional<uint64_t>> package_weight, use_weight, departed_weight;
    Figures package_shared, package_squared, departed_total_weight;
    Lists<Usage> use_helper, departed_helper;  ///< without cycles
    Figures vcpus, memory_kib;
    std::vector<std::string> notices;

    static constexpr uint64_t bit(Key key) {
        static_assert(static_cast<unsigned>(Key::Unknown) < 64, "a bit for each key");
        return uint64_t{1} << static_cast<unsigned>(key);
    }
    [[nodiscard]] bool has(Key key) const { return (keys & bit(key)) != 0; }
};

/// Takes lines apart. Keeps its memory from line to line.
class LineParser {
public:
    LineParser();
    LineParser(const LineParser&) = delete;
    LineParser& operator=(const LineParser&) = delete;
    ~LineParser();

    /// A line without its end. Throws BadLine.
    void parse(std::string_view text, Line& line);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace virt_power

#endif
