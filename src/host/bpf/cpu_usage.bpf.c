// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charges each slice of CPU time, and the cycles in it, to the domain that owns
 * the task. Two programs call the same code: one at each context switch, one
 * that the reader runs on each CPU before it reads, for the slice that is
 * still running. Interrupts are off in both, so nothing here is atomic: all
 * counters are per CPU, and the reader sums those of a package.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cpu_usage.h"

/* The few kernel fields that are needed; CO-RE finds where they are. */
struct task_struct {
    int pid;
    int tgid;
    struct task_struct* group_leader;
    __u64 start_boottime;
} __attribute__((preserve_access_index));

char LICENSE[] SEC("license") = "GPL";

/* Set before loading. */
const volatile int count_cycles = 0;

/* Depth of the domains' cgroups; 0 while none is known. */
int cgroup_level = 0;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CPU_USAGE_MAX_DOMAINS);
    __type(key, __u32); /* tgid */
    __type(value, struct cpu_usage_owner);
} owners SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CPU_USAGE_MAX_DOMAINS);
    __type(key, __u64); /* cgroup id */
    __type(value, __u32);
} cgroup_owners SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, CPU_USAGE_SLOT_DOMAINS + CPU_USAGE_MAX_DOMAINS);
    __type(key, __u32);
    __type(value, struct cpu_usage_value);
} usage SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct cpu_usage_state);
} states SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(map_flags, BPF_F_PRESERVE_ELEMS);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, sizeof(__u32));
} cycle_events SEC(".maps");

/* The task must be current: the cgroup helper knows no other. */
static __always_inline __u32 slot_of(struct task_struct* task) {
    struct cpu_usage_owner* owner;
    __u32 tgid = task->tgid;
    int level = cgroup_level;

    if (task->pid == 0) return CPU_USAGE_SLOT_IDLE;

    owner = bpf_map_lookup_elem(&owners, &tgid);
    if (owner) {
        __u64 start = task->group_leader->start_boottime;
        if (start >= owner->start_ns_min && start < owner->start_ns_end) return owner->slot;
    }
    if (level > 0) {
        /* Helper processes and vhost threads live in the domain's cgroup. */
        __u64 id = bpf_get_current_ancestor_cgroup_id(level);
        __u32* slot = id ? bpf_map_lookup_elem(&cgroup_owners, &id) : 0;
        if (slot) return *slot;
    }
    return CPU_USAGE_SLOT_REST;
}

/* An event that a CPU lost stands still: neither its count nor its times go on. What it lost is how
 * much its time stays behind the clock from then on. In one slice that cannot be seen, since the two
 * are read one after the other: an interrupt or, in a virtual machine, a pause between them makes this
 * slice longer for the event, and the next one shorter. But it only ever makes the event seem ahead. */
static __always_inline bool counted_all(struct cpu_usage_state* state, struct bpf_perf_event_value* value,
                                        __u64 now, __u64 elapsed) {
    __u64 running = value->running - state->running;
    __s64 behind = now - value->running, most = state->behind_ns;

    /* The two clocks drift apart, too. */
    state->behind_ns = most - (__s64)(elapsed >> 8);
    if (behind > state->behind_ns) state->behind_ns = behind;
    if (value->enabled - state->enabled != running) return false;
    if (running == 0) return elapsed < 10000;
    /* The clocks may differ by 500 ppm while one of them is being set right. */
    return behind - most < 1000000 + (__s64)(elapsed >> 10);
}

/* Cycles in the slice that ends. What the event did not count all the time is
 * a gap: too few cycles would be a wrong share. */
static __always_inline __u64 take_cycles(struct cpu_usage_state* state, __u64 now, __u64 elapsed) {
    struct bpf_perf_event_value value = {};
    __u64 cycles = 0;

    if (bpf_perf_event_read_value(&cycle_events, BPF_F_CURRENT_CPU, &value, sizeof(value)) < 0) {
        state->gaps++;
        state->has_counter = 0;
        return 0;
    }
    /* Another event in the place of one that was lost: nothing that is known of that one holds. */
    if (value.enabled < state->enabled) state->has_counter = 0;
    if (!state->has_counter) state->behind_ns = now - value.running;
    if (state->has_counter && value.counter >= state->counter && counted_all(state, &value, now, elapsed))
        cycles = value.counter - state->counter;
    else if (state->since_ns) /* else counting only starts */
        state->gaps++;
    state->counter = value.counter;
    state->enabled = value.enabled;
    state->running = value.running;
    state->has_counter = 1;
    return cycles;
}

static __always_inline void charge(struct task_struct* task) {
    __u32 zero = 0;
    __u64 elapsed, now, cycles = 0;
    struct cpu_usage_state* state = bpf_map_lookup_elem(&states, &zero);
    struct cpu_usage_value* value;
    __u32 slot;

    if (!state) return;
    now = bpf_ktime_get_ns();
    elapsed = state->since_ns ? now - state->since_ns : 0;
    if (count_cycles) cycles = take_cycles(state, now, elapsed);
    state->since_ns = now;
    if (elapsed == 0) return; /* counting starts on this CPU */

    slot = slot_of(task);
    value = bpf_map_lookup_elem(&usage, &slot);
    if (!value) return;
    value->time_ns += elapsed;
    value->cycles += cycles;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct* prev) {
    charge(prev);
    return 0;
}

/* Run by the reader on each CPU (BPF_PROG_TEST_RUN). Never attached. */
SEC("raw_tp/sched_switch")
int charge_running(void* context) {
    charge(bpf_get_current_task_btf());
    return 0;
}
