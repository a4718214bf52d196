// SPDX-License-Identifier: LGPL-2.1-or-later
#include "counting.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <filesystem>
#include <fstream>

#include "children.hpp"

namespace virt_power::bench {

std::pair<std::string, PerfEvent> cycle_event(int cpu) {
    PerfEvent hardware{PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, true};
    if (PerfSystem::kernel().open(hardware, static_cast<uint32_t>(cpu))) return {"cycles", hardware};
    return {"software-event", {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, false}};
}

std::unique_ptr<UsageCounter> start_counting(CpuTopology& topology, const Kind& kind) {
    BpfOptions options;
    options.cycles = kind.cycles;
    Result<BpfCounting> counting = make_bpf_usage_counter(topology, options);
    if (!counting) fail(counting.error().message);
    OwnerId owner = 1;
    for (pid_t pid : kind.domains) {
        Result<Process> process = find_process("/", pid);
        Status added = process ? counting->counter->add(owner++, *process, "") : Status(process.error());
        if (!added) fail(added.error().message);
    }
    return std::move(counting->counter);
}

bpf_insn instruction(int code, int to, int from, int offset, int value) {
    bpf_insn made{};
    made.code = static_cast<__u8>(code);
    made.dst_reg = static_cast<__u8>(to & 0xf);
    made.src_reg = static_cast<__u8>(from & 0xf);
    made.off = static_cast<__s16>(offset);
    made.imm = value;
    return made;
}

BareProgram::BareProgram(const std::vector<bpf_insn>& code) {
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.expected_attach_type = BPF_TRACE_RAW_TP;
    int id = libbpf_find_vmlinux_btf_id("sched_switch", BPF_TRACE_RAW_TP);
    if (id <= 0) fail("the kernel's BTF does not tell of sched_switch");
    options.attach_btf_id = static_cast<__u32>(id);
    program_ = FileDescriptor(
        bpf_prog_load(BPF_PROG_TYPE_TRACING, "bench", "GPL", code.data(), code.size(), &options));
    link_ = FileDescriptor(program_ ? bpf_raw_tracepoint_open(nullptr, program_.get()) : -1);
    if (!link_) fail("a program cannot be attached");
}

BareProgram BareProgram::empty() {
    return BareProgram(
        {instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0), instruction(BPF_JMP | BPF_EXIT)});
}

ProgramRuns program_runs() {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
        std::ifstream file(entry.path());
        std::string key;
        std::string value;
        std::string type;
        ProgramRuns runs;
        while (file >> key && std::getline(file, value)) {
            if (key == "prog_type:") type = value;
            if (key == "run_cnt:") runs.count = std::stoull(value);
            if (key == "run_time_ns:") runs.time_ns = std::stoull(value);
        }
        if (!type.empty() && std::stoi(type) == BPF_PROG_TYPE_TRACING) return runs;
    }
    fail("this process holds no BPF program on the context switch");
}

std::string numbers(const std::vector<double>& values) {
    std::string text;
    for (double value : values) text += fmt::format("{}{:.7g}", text.empty() ? "" : ", ", value);
    return "[" + text + "]";
}

}  // namespace virt_power::bench
