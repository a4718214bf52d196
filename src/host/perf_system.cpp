// SPDX-License-Identifier: LGPL-2.1-or-later
#include "perf_system.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

class KernelPerfSystem : public PerfSystem {
public:
    [[nodiscard]] Result<FileDescriptor> open(const PerfEvent& event, uint32_t cpu) const override {
        perf_event_attr attributes{};
        attributes.size = sizeof(attributes);
        attributes.type = event.type;
        attributes.config = event.config;
        attributes.pinned = event.pinned ? 1 : 0;
        long descriptor =
            ::syscall(SYS_perf_event_open, &attributes, -1, static_cast<int>(cpu), -1, PERF_FLAG_FD_CLOEXEC);
        if (descriptor < 0) return system_error(errno, "open perf event on", "CPU " + std::to_string(cpu));
        return FileDescriptor(static_cast<int>(descriptor));
    }

    [[nodiscard]] Result<uint64_t> read(const FileDescriptor& event) const override {
        uint64_t count = 0;
        ssize_t size = ::read(event.get(), &count, sizeof(count));
        if (size < 0) return system_error(errno, "read", "perf event");
        if (size != sizeof(count)) return Error{ErrorKind::Gone, 0, "the perf event is no longer counted"};
        return count;
    }
};

}  // namespace

const PerfSystem& PerfSystem::kernel() {
    static const KernelPerfSystem system;
    return system;
}

}  // namespace virt_power
