// SPDX-License-Identifier: LGPL-2.1-or-later
// The values of virt-power's options.
#include <cstdlib>
#include <string>
#include <string_view>

#include "values.hpp"

using namespace virt_power;

extern const char* const fuzz_seeds;
const char* const fuzz_seeds =
    "12\f38.5\fpackage-0=12.25,package-1=13\fpackage-0/dram=0.000001\fa=b=3\f1000000\f1000000.1\f0,1\f3,\f-d "
    "0.1\f86400\f";

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    constexpr uint64_t most_uw = 1'000'000'000'000;
    Result<std::map<std::string, uint64_t, std::less<>>> watts = parse_static_watts(text);
    if (watts) {
        if (watts->empty()) std::abort();
        // What was understood is understood again, with the same meaning.
        std::string again;
        for (const auto& [zone, power_uw] : *watts) {
            if (power_uw > most_uw) std::abort();
            std::string decimals = std::to_string(power_uw % 1'000'000);
            again += again.empty() ? "" : ",";
            again += zone.empty() ? "" : zone + "=";
            again +=
                std::to_string(power_uw / 1'000'000) + "." + std::string(6 - decimals.size(), '0') + decimals;
        }
        Result<std::map<std::string, uint64_t, std::less<>>> second = parse_static_watts(again);
        if (!second || *second != *watts) std::abort();
    }
    Result<std::chrono::milliseconds> delay = parse_seconds("--delay", text, 0.1, 86400);
    if (delay && (delay->count() < 100 || delay->count() > 86'400'000)) std::abort();
    Result<uint64_t> count = parse_count("--count", text, 1000);
    if (count && (*count < 1 || *count > 1000)) std::abort();
    return 0;
}
