// SPDX-License-Identifier: LGPL-2.1-or-later
// The parsers of /proc.
#include <cstdlib>
#include <string_view>

#include "domain_cgroup.hpp"
#include "process.hpp"

using namespace virt_power;

extern const char* const fuzz_seeds;
const char* const fuzz_seeds =
    "4242 (qemu) R 1 4242 4242 0 -1 4194560 100 0 0 0 700 300 1 2 20 0 4 0 123456 1000 50 1 1 1 0 0 0 0 0 0 "
    "0 0 0 0 17 "
    "3 0 0\f"
    "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 2 3 1000 2000 4 5 3000 1 0\nintr 1 2 3\n\f"
    "12:cpu:/a\n0::/machine/qemu-1-a.libvirt-qemu/emulator\n\f"
    "3:name=systemd:/\n1:cpu,cpuacct:/machine/qemu-1-a.libvirt-qemu/emulator\n\f"
    "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\n"
    "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)parse_proc_pid_stat(text);
    auto busy = parse_proc_stat(text);
    if (busy && busy->empty()) std::abort();
    std::string part = domain_part(parse_proc_cgroup(text));
    if (part.size() > size) std::abort();
    (void)domain_part(text);
    (void)parse_cgroup2_mount(text);
    auto [controller, path] = parse_proc_cgroup1(text);
    if (controller.empty() != path.empty()) std::abort();
    (void)parse_cgroup1_mount(text, controller);
    return 0;
}
