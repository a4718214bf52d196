// SPDX-License-Identifier: LGPL-2.1-or-later
// parse_cpumap(): what a client gives as a list of CPUs.
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "cpu_list.hpp"
#include "knob_error.hpp"

using namespace virt_power;

extern const char* const fuzz_seeds;
const char* const fuzz_seeds = "0-3,8\f0-7,^3\f 0 - 1 , 3 ,\f4095\f^2,0-4095\f";

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<uint32_t> cpus;
    try {
        cpus = parse_cpumap(text);
    } catch (const KnobError& error) {
        std::string_view what = error.what();
        bool harmless = std::all_of(what.begin(), what.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
        if (error.kind() != KnobErrorKind::InvalidArgument || what.size() > 200 || !harmless) std::abort();
        return 0;
    }
    if (cpus.empty() || cpus.back() >= max_cpus) std::abort();
    if (std::adjacent_find(cpus.begin(), cpus.end(), std::greater_equal<>()) != cpus.end()) std::abort();
    // What is written is the same list.
    if (parse_cpumap(format_cpu_list(cpus)) != cpus) std::abort();
    return 0;
}
