// SPDX-License-Identifier: LGPL-2.1-or-later
// Prints docs/metrics.md from the table that also describes the codec.
#include <fmt/format.h>

#include "reading_codec.hpp"

int main() {
    fmt::print(
        "<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->\n"
        "<!-- Generated: ninja -C BUILD docs/metrics.md. Do not edit. -->\n"
        "# The stats group `energy`\n\n"
        "Bit `1 << 28` of virConnectGetAllDomainStats; `virsh domstats --energy`, and `virsh domstats` in a\n"
        "virsh without that option. A name is only there when its value is known: missing is never 0.\n"
        "Counters start at 0 with the epoch (`energy.host.epoch`), are monotone within it, and may only be\n"
        "subtracted within equal epoch and, for a domain, equal `energy.instance`. Where they are kept "
        "while\n"
        "the daemon is away ([design.md](design.md)), an epoch outlives it; elsewhere it ends with it. N and "
        "M\n"
        "are indices from 0.\n\n"
        "Host figures stand in the first record of an active domain and need the permission `connect:read`, "
        "but for\n"
        "`energy.status`; a departed domain's need `domain:read` of that domain.\n\n"
        "| name | type | unit | kind | records | source | meaning |\n|---|---|---|---|---|---|---|\n");
    for (const virt_power::MetricDoc& doc : virt_power::metric_docs())
        fmt::print("| `{}` | {} | {} | {} | {} | {} | {} |\n", doc.name, doc.type, doc.unit, doc.kind,
                   doc.records, doc.source, doc.text);
    return 0;
}
