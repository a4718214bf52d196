// SPDX-License-Identifier: LGPL-2.1-or-later
// host-power-knobs.json. What is read can be written, and read as the same again.
#include <cstdlib>
#include <string_view>

#include "knob_journal.hpp"

using namespace virt_power;

extern const char* const fuzz_seeds;
const char* const fuzz_seeds =
    R"({"format": "virt-power-knobs", "version": 1, "boot_id": "5e9b1b2c-0c4e-4f0e-9a53-000000000001", "records": [
  ["governor","cpu0","scaling_governor","ondemand"],
  ["rapl","intel-rapl/package-0","constraint_0_power_limit_uw","26000000"]]}
)"
    "\f"
    R"({"format":"virt-power-knobs","version":1,"boot_id":"b","records":[]})"
    "\f"
    R"(["frequency","cpu1","scaling_max_freq","2400000"],)"
    "\f"
    R"(["host","intel_pstate","no_turbo","0"],["preference","cpu2","energy_performance_preference","power"])";

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::optional<JournalContent> found = parse_knob_journal({reinterpret_cast<const char*>(data), size});
    if (!found) return 0;
    for (const KnobRecord& record : found->records)
        if (record.place.empty() || record.file.empty() || record.value.empty()) std::abort();
    const std::string text = knob_journal_text(*found);
    std::optional<JournalContent> again = parse_knob_journal(text);
    if (!again || again->boot_id != found->boot_id || again->records != found->records) std::abort();
    if (knob_journal_text(*again) != text) std::abort();
    return 0;
}
