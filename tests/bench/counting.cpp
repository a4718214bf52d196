// SPDX-License-Identifier: LGPL-2.1-or-later
#include "counting.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <filesystem>
#include <fstream>

#include "bpf/cpu_usage.h"
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

namespace {

bpf_insn instruction(int code, int to = 0, int from = 0, int offset = 0, int value = 0) {
    bpf_insn made{};
    made.code = static_cast<__u8>(code);
    made.dst_reg = static_cast<__u8>(to & 0xf);
    made.src_reg = static_cast<__u8>(from & 0xf);
    made.off = static_cast<__s16>(offset);
    made.imm = value;
    return made;
}

/// Ends a program: adds one to the number in a map whose key is in the stack's first four bytes.
BareProgram adding_one(std::vector<bpf_insn> code, const FileDescriptor& map) {
    for (const bpf_insn& made :
         {instruction(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10),
          instruction(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
          instruction(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map.get()), instruction(0),
          instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
          instruction(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 3, 0),
          instruction(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_0),
          instruction(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, 1),
          instruction(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_1),
          instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0), instruction(BPF_JMP | BPF_EXIT)})
        code.push_back(made);
    return BareProgram(code);  // the kernel keeps the map with it
}

}  // namespace

BareProgram BareProgram::empty() {
    return BareProgram(
        {instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0), instruction(BPF_JMP | BPF_EXIT)});
}

BareProgram BareProgram::least() {
    LIBBPF_OPTS(bpf_map_create_opts, options);
    options.map_flags = BPF_F_MMAPABLE;
    FileDescriptor map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "bench", 4, 8, 1, &options));
    if (!map) fail("a BPF map cannot be made");
    return adding_one({instruction(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0)}, map);
}

BareProgram BareProgram::lookup(const std::vector<pid_t>& pids) {
    FileDescriptor map(bpf_map_create(BPF_MAP_TYPE_HASH, "bench", 4, 8, CPU_USAGE_MAX_PROCESSES, nullptr));
    if (!map) fail("a BPF map cannot be made");
    for (pid_t pid : pids) {
        uint64_t none = 0;
        if (bpf_map_update_elem(map.get(), &pid, &none, BPF_ANY) != 0) fail("a BPF map takes no entry");
    }
    return adding_one({instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_pid_tgid),
                       instruction(BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_0, 0, 0, 32),
                       instruction(BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_0, -4)},
                      map);
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
