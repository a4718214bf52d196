// SPDX-License-Identifier: LGPL-2.1-or-later
// host-power-calibration.conf. What is read can be written, and read as the same again.
#include <cstdlib>
#include <string_view>

#include "calibration_file.hpp"

using namespace virt_power;

extern const char* const fuzz_seeds;
const char* const fuzz_seeds =
    "[calibration]\nversion=1\nhost=kvm1\nmachine_id=0123456789abcdef0123456789abcdef\n"
    "date=2026-11-20T17:20:30Z\nseconds=60.0\nbusy_percent=0.3\nbusy_highest_percent=1.5\n\f"
    "[zone "
    "package-0]\ntype=package\nsource=powercap\nstatic_uw=12000000\ndeviation_uw=5\nlowest_uw=11000000\n"
    "highest_uw=13000000\nwindows=60\ndropped_windows=0\n\f"
    "[calibration]\nversion=1\nhost=a\ndate=b\n[zone "
    "package-0/dram]\ntype=dram\nsource=perf\nstatic_uw=7\nmethod=recording\nerror_uw=3\n"
    "[weights]\nshared_permille=560\nshared_deviation_permille=12\ncycle_permille=300\nsquare_permille=175\n"
    "method=load\nsource=powercap\n";

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string name = "/fuzz/host-power-calibration.conf";
    auto warn = [&name](std::string_view warning) {
        if (!warning.starts_with(name)) std::abort();
    };
    std::optional<Calibration> found =
        parse_calibration({reinterpret_cast<const char*>(data), size}, name, warn);
    if (!found) return 0;
    for (const ZoneStatic& zone : found->zones)
        if (zone.static_uw > 1'000'000'000'000 || zone.source.empty() || zone.name.empty()) std::abort();
    if (found->weights && (found->weights->shared_permille < least_shared_permille ||
                           found->weights->shared_permille > most_shared_permille ||
                           found->weights->cycle_permille + found->weights->square_permille == 0))
        std::abort();
    Result<std::string> text = calibration_text(*found, "fuzz");
    if (!text) return 0;  // something that a file may leave out, and a calibration not
    auto silent = [](std::string_view) { std::abort(); };
    std::optional<Calibration> again = parse_calibration(*text, name, silent);
    if (!again || *calibration_text(*again, "fuzz") != *text) std::abort();
    return 0;
}
