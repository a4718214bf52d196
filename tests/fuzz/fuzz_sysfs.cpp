// SPDX-License-Identifier: LGPL-2.1-or-later
// The parsers of what stands in files below /sys.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "kernel_file.hpp"
#include "power_pmu.hpp"
#include "powercap.hpp"

using namespace virt_power;

extern const char* const fuzz_seeds;
const char* const fuzz_seeds = "0-3,8\n\f262143328850\n\fpackage-0-die-1\n\fevent=0x02,umask=0x1\n";

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)parse_u64(text);
    auto cpus = parse_cpu_list(text);
    if (cpus && !std::is_sorted(cpus->begin(), cpus->end())) std::abort();
    auto package = parse_package_name(text);
    if (package && (package->package_id < 0 || package->die_id.value_or(0) < 0)) std::abort();
    auto config = parse_event_config(text);
    if (config && *config > 0xffff) std::abort();
    return 0;
}
