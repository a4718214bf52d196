// SPDX-License-Identifier: LGPL-2.1-or-later
// What attribution alone costs: samples of many domains, made beforehand, into
// intervals. Beside it the least that could be done with the same numbers: the
// differences summed up, and each multiplied by its share.
//
// usage: bench-attribution DOMAINS RUNS
// One JSON object: CPU time of each run, in nanoseconds; the program's peak
// of resident memory.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "samples.hpp"

using namespace virt_power;
using namespace virt_power::test;

namespace {

constexpr size_t packages = 2;

/// CPU time, so that what else runs on the machine does not count.
int64_t cpu_now_ns() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// A host with two packages, each with dram; every domain has run on both.
Sample make_sample(uint64_t step, size_t domains) {
    SampleBuilder builder(step * second);
    for (size_t p = 0; p < packages; p++) {
        uint64_t all_ns = step * domains * 2'000'000;
        uint64_t vms_ns = step * domains * 1'000'000;
        auto number = std::to_string(p);
        auto index = static_cast<uint32_t>(p);
        builder.package(Usage{all_ns, all_ns * 2}, Usage{vms_ns, vms_ns * 2});
        builder.zone(zone("package-" + number, step * 100'000'000, "package", index));
        builder.zone(zone("package-" + number + "/dram", step * 10'000'000, "dram", index));
    }
    builder.sample.reading->cycles_gaps = 0;
    for (size_t n = 0; n < domains; n++) {
        // Uneven shares, so that there are remainders; their sum stays below that of all.
        uint64_t used_ns = step * (500'000 + n * 7919 % 500'000);
        DomainUsage usage = domain("virtual-machine-" + std::to_string(n), n + 1,
                                   {{used_ns, used_ns * 2}, {used_ns, used_ns * 2}});
        usage.uuid = "6d1b0000-0000-4000-8000-" + std::to_string(100'000'000'000 + n);
        builder.running(std::move(usage));
    }
    return builder;
}

/// Microjoules of each domain and zone from two samples that list the same domains in the same order.
void divide_directly(const Sample& before, const Sample& now, std::vector<double>& energy_uj) {
    energy_uj.clear();
    const std::vector<ZoneReading>& zones = now.reading->zones;
    for (size_t z = 0; z < zones.size(); z++) {
        uint32_t p = *zones[z].package;
        uint64_t all = *now.reading->packages[p].host.cycles - *before.reading->packages[p].host.cycles;
        uint64_t grown_uj = *zones[z].energy_uj - *before.reading->zones[z].energy_uj;
        double each = static_cast<double>(grown_uj) / static_cast<double>(all);
        for (size_t n = 0; n < now.domains.size(); n++) {
            uint64_t used =
                *now.domains[n].usage.packages[p].cycles - *before.domains[n].usage.packages[p].cycles;
            energy_uj.push_back(static_cast<double>(used) * each);
        }
    }
}

void print_runs(const char* name, const std::vector<int64_t>& runs_ns) {
    std::printf("\"%s\": [", name);
    for (size_t n = 0; n < runs_ns.size(); n++)
        std::printf("%s%lld", n ? ", " : "", static_cast<long long>(runs_ns[n]));
    std::printf("], ");
}

/// Of this program alone: getrusage(2) has that of the process that started it, too.
long peak_kib() {
    std::ifstream file("/proc/self/status");
    std::string line;
    while (std::getline(file, line))
        if (line.starts_with("VmHWM:")) return std::strtol(line.c_str() + 6, nullptr, 10);
    return 0;
}

/// The rows add up to what was measured: else what is timed is not the work.
bool adds_up(const Interval& interval, size_t domains) {
    uint64_t rows_uj = 0;
    uint64_t zones_uj = 0;
    for (const Row& row : interval.rows) rows_uj += row.energy_uj.value_or(0);
    for (const ZoneInterval& zone : interval.zones) zones_uj += zone.energy_uj.value_or(0);
    return rows_uj == zones_uj && zones_uj != 0 && interval.rows.size() >= domains + 1;
}

}  // namespace

int main(int argc, char** argv) {
    size_t domains = argc == 3 ? std::strtoul(argv[1], nullptr, 10) : 0;
    size_t runs = argc == 3 ? std::strtoul(argv[2], nullptr, 10) : 0;
    if (domains == 0 || runs == 0) {
        std::fprintf(stderr, "usage: %s DOMAINS RUNS\n", argv[0]);
        return 2;
    }
    std::vector<int64_t> attribution_ns;
    std::vector<int64_t> direct_ns;
    std::vector<double> energy_uj;
    Attributor attributor{AttributionOptions{}};
    Sample before = make_sample(1, domains);
    attributor.add(before);
    for (uint64_t step = 2; step < 2 + runs; step++) {
        Sample now = make_sample(step, domains);
        int64_t begun = cpu_now_ns();
        Attributed attributed = attributor.add(now);
        int64_t attributed_at = cpu_now_ns();
        divide_directly(before, now, energy_uj);
        int64_t divided_at = cpu_now_ns();
        if (!attributed.interval || !adds_up(*attributed.interval, domains) || energy_uj.empty()) {
            std::fprintf(stderr, "%s: the rows do not add up\n", argv[0]);
            return 1;
        }
        attribution_ns.push_back(attributed_at - begun);
        direct_ns.push_back(divided_at - attributed_at);
        before = std::move(now);
    }
    std::printf("{\"domains\": %zu, ", domains);
    print_runs("attribution_ns", attribution_ns);
    print_runs("direct_ns", direct_ns);
    std::printf("\"peak_kib\": %ld}\n", peak_kib());
    return 0;
}
