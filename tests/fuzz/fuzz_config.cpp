// SPDX-License-Identifier: LGPL-2.1-or-later
// host-power.conf.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string_view>

#include "config.hpp"

using namespace virt_power;

extern const char* const fuzz_seeds;
const char* const fuzz_seeds =
    "[sources]\npowercap=true\nmodelled=false\n[modelled]\nidle_watts=12.5\nbusy_cpu_watts=3\n\f"
    "[access]\nread_only=coarse\n[departed]\nkeep_seconds=60\nkeep_max=5\n\f"
    "[usage]\ncounter=proc\n[host]\nroot=/srv\n";

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::string file = "/tmp/fuzz-host-power." + std::to_string(::getpid());
    std::ofstream(file, std::ios::trunc)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    Config config = load_config(file, [](std::string_view warning) {
        if (warning.find("/tmp/fuzz-host-power") == std::string_view::npos) std::abort();
    });
    if (config.keep_max > 4096 || !config.root.is_absolute()) std::abort();
    std::remove(file.c_str());
    return 0;
}
