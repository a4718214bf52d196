// SPDX-License-Identifier: LGPL-2.1-or-later
// make-recording: a synthetic recording, for benchmarks. No number in it was measured.
// usage: make-recording FILE DOMAINS SAMPLES SECONDS PACKAGES
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "virt-power/recording.hpp"

using namespace virt_power;

namespace {

constexpr uint64_t ns_per_s = 1'000'000'000;

/// A host whose domains are busy by chance; one of them ends now and then, and another starts.
class SyntheticHost {
public:
    SyntheticHost(size_t domains, size_t packages, uint64_t seconds) : seconds_(seconds) {
        sample_.host = "synthetic";
        sample_.uri = "synthetic:///made-up-numbers";
        sample_.host_cpus = static_cast<uint32_t>(2 * domains);
        sample_.status = EnergyStatus::Ok;
        HostReading& reading = sample_.reading.emplace();
        reading.epoch = 1;
        reading.usage_source = UsageSource::Bpf;
        reading.cycles_gaps = 0;
        reading.departed_totals.resize(packages, Usage{0, 0});
        for (size_t p = 0; p < packages; ++p) {
            reading.packages.push_back({static_cast<int64_t>(p), {0, 0}, {0, 0}});
            for (const char* type : {"package", "dram"}) {
                std::string name = "package-" + std::to_string(p);
                bool whole = std::string(type) == "package";
                reading.zones.push_back({whole ? name : name + "/" + type, type, static_cast<uint32_t>(p),
                                         "powercap", true, 0, 0});
            }
        }
        sample_.domains.resize(domains);
        for (DomainSample& domain : sample_.domains) start(domain.usage);
    }

    const Sample& next() {
        HostReading& reading = *sample_.reading;
        uint64_t step_ns = seconds_ * ns_per_s + random_() % 1'000'000;
        reading.time_ns += step_ns;
        sample_.monotonic_ns += static_cast<int64_t>(step_ns);
        sample_.wall_ns = 1'800'000'000 * static_cast<int64_t>(ns_per_s) + sample_.monotonic_ns;
        if (++number_ % 600 == 0) replace(sample_.domains[random_() % sample_.domains.size()].usage);
        for (DomainSample& domain : sample_.domains)
            for (size_t p = 0; p < reading.packages.size(); ++p)
                run(domain.usage.packages[p], reading.packages[p], random_() % step_ns);
        for (PackageReading& package : reading.packages) use(package.host, random_() % step_ns);
        for (ZoneReading& zone : reading.zones)
            *zone.energy_uj += 20'000'000 * seconds_ + random_() % 50'000'000;
        return sample_;
    }

private:
    static void use(Usage& usage, uint64_t time_ns) {
        usage.time_ns += time_ns;
        *usage.cycles += time_ns * 31 / 10;
    }

    static void run(Usage& domain, PackageReading& package, uint64_t time_ns) {
        for (Usage* usage : {&domain, &package.vms, &package.host}) use(*usage, time_ns);
    }

    void start(DomainUsage& domain) {
        char uuid[37];
        std::snprintf(uuid, sizeof uuid, "5e7c0000-0000-4000-8000-%012" PRIx64, ++started_);
        domain = {"synthetic-" + std::to_string(started_), uuid, (started_ << 20) + 4711, {}, {}};
        domain.packages.resize(sample_.reading->packages.size(), Usage{0, 0});
    }

    void replace(DomainUsage& domain) {
        HostReading& reading = *sample_.reading;
        for (size_t p = 0; p < reading.packages.size(); ++p) {
            reading.departed_totals[p].time_ns += domain.packages[p].time_ns;
            *reading.departed_totals[p].cycles += *domain.packages[p].cycles;
        }
        reading.departed.assign(1, domain);
        start(domain);
    }

    Sample sample_;
    uint64_t seconds_;
    uint64_t number_ = 0, started_ = 0;
    std::mt19937_64 random_{20261120};
};

bool must(const Status& status) {
    if (!status) std::fprintf(stderr, "make-recording: %s\n", status.error().message.c_str());
    return status.has_value();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) {
        std::fprintf(stderr, "usage: make-recording FILE DOMAINS SAMPLES SECONDS PACKAGES\n");
        return 2;
    }
    auto number = [argv](int i) { return std::strtoull(argv[i], nullptr, 10); };
    uint64_t samples = number(3), seconds = number(4);
    RecordingHeader header{"make-recording (synthetic)", std::chrono::seconds(seconds), {""}};
    Result<std::unique_ptr<Recorder>> recorder = Recorder::create(argv[1], header, {});
    if (!recorder) return must(recorder.error()) ? 0 : 1;
    SyntheticHost host(number(2), number(5), seconds);
    if (!must((*recorder)->add(0, host.next())) || !must((*recorder)->started())) return 1;
    for (uint64_t i = 0; i < samples; ++i)
        if (!must((*recorder)->add(0, host.next())) || !must((*recorder)->tick())) return 1;
    return must((*recorder)->finish()) ? 0 : 1;
}
