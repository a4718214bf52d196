// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charges each slice of CPU time, and the cycles in it, to the domain that owns
 * the task. Two programs call the same code: one at each context switch, one
 * that the reader runs on each CPU before it reads, for the slice that is
 * still running. No switch comes between in either, so no counter is atomic:
 * all of them are per CPU, and the reader sums those of a package.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cpu_usage.h"

#define PF_KTHREAD 0x00200000
#define COMPARE_PERIOD_NS 1000000000ULL
#define ENOUGH_SEEN 16

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* The few kernel fields that are needed; CO-RE finds where they are. */
struct rq {
    __u64 clock;
} __attribute__((preserve_access_index));

struct cfs_rq {
    struct rq* rq;
} __attribute__((preserve_access_index));

struct sched_entity {
    struct cfs_rq* cfs_rq;
} __attribute__((preserve_access_index));

struct kernfs_node {
    __u64 id;
} __attribute__((preserve_access_index));

struct cgroup {
    struct kernfs_node* kn;
} __attribute__((preserve_access_index));

struct css_set {
    struct cgroup* dfl_cgrp;
} __attribute__((preserve_access_index));

struct task_struct {
    unsigned int flags;
    int pid;
    int tgid;
    struct task_struct* group_leader;
    struct sched_entity se;
    struct css_set* cgroups;
    __u64 start_boottime;
    char comm[16];
} __attribute__((preserve_access_index));

char LICENSE[] SEC("license") = "GPL";

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CPU_USAGE_MAX_PROCESSES);
    __type(key, __u32); /* tgid */
    __type(value, struct cpu_usage_owner);
} owners SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CPU_USAGE_MAX_DOMAINS);
    __type(key, __u64); /* cgroup id */
    __type(value, __u32);
} cgroup_owners SEC(".maps");

/* The reader maps these into its memory: reading them costs no call. Sized for the CPUs before loading. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct cpu_usage_cpu);
} cpus SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct cpu_usage_settings);
} settings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(map_flags, BPF_F_PRESERVE_ELEMS);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, sizeof(__u32));
} cycle_events SEC(".maps");

/* The reader's own, here so that they are kept with the others. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, CPU_USAGE_SLOTS);
    __type(key, __u32);
    __type(value, struct cpu_usage_domain);
} domains SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, CPU_USAGE_MAX_ZONES);
    __type(key, __u32);
    __type(value, struct cpu_usage_zone);
} zones SEC(".maps");

/* As QEMU calls its threads: "CPU 0/KVM", and "ALL CPUs/TCG" where one thread plays all of them. */
static __always_inline bool is_vcpu(struct task_struct* task) {
    return (task->comm[0] == 'C' && task->comm[1] == 'P' && task->comm[2] == 'U' && task->comm[3] == ' ') ||
           (task->comm[0] == 'A' && task->comm[1] == 'L' && task->comm[2] == 'L' && task->comm[3] == ' ');
}

/* The process that a kernel thread called vhost-PID works for; 0: none. Where they are processes of
 * their own, kernels before 6.4 do so. */
static __always_inline __u32 vhost_of(struct task_struct* task) {
    __u32 pid = 0;
    int n;

    if (task->comm[0] != 'v' || task->comm[1] != 'h' || task->comm[2] != 'o' || task->comm[3] != 's' ||
        task->comm[4] != 't' || task->comm[5] != '-')
        return 0;
#pragma unroll
    for (n = 6; n < 14; n++) {
        char digit = task->comm[n];
        if (digit < '0' || digit > '9') break;
        pid = pid * 10 + (__u32)(digit - '0');
    }
    return pid;
}

static __always_inline __u32 place(__u32 slot, __u32 part) { return CPU_USAGE_PARTS * slot + part; }

/* The task must be current: the cgroup helper knows no other. */
static __always_inline __u32 find_place(struct task_struct* task) {
    bool kernel = task->flags & PF_KTHREAD;
    const struct cpu_usage_settings* set;
    struct cpu_usage_owner* owner;
    __u32 tgid = task->tgid, zero = 0;
    int n;

    if (!kernel) {
        owner = bpf_map_lookup_elem(&owners, &tgid);
        if (owner) {
            __u64 start = task->group_leader->start_boottime;
            if (start >= owner->start_ns_min && start < owner->start_ns_end)
                return place(owner->slot, is_vcpu(task) ? CPU_USAGE_VCPUS : CPU_USAGE_HELPERS);
        }
    }
    /* Helper processes and vhost threads live in the domain's cgroup. */
    set = bpf_map_lookup_elem(&settings, &zero);
    if (!set) return place(CPU_USAGE_SLOT_REST, CPU_USAGE_HELPERS);
#pragma unroll
    for (n = 0; n < CPU_USAGE_MAX_LEVELS; n++) {
        __u32 level = set->cgroup_levels[n], *slot;
        __u64 id;

        if (level == 0) break;
        id = bpf_get_current_ancestor_cgroup_id((int)level);
        slot = id ? bpf_map_lookup_elem(&cgroup_owners, &id) : 0;
        if (slot) return place(*slot, CPU_USAGE_HELPERS);
    }
    /* By name where its domain has no such cgroup. It began after its process, else that is a later one
     * with the same pid. */
    if (kernel) {
        tgid = vhost_of(task);
        owner = tgid ? bpf_map_lookup_elem(&owners, &tgid) : 0;
        if (owner && task->start_boottime >= owner->start_ns_min)
            return place(owner->slot, CPU_USAGE_HELPERS);
    }
    return place(CPU_USAGE_SLOT_REST, CPU_USAGE_HELPERS);
}

/* Its first four letters, all at once. */
static __always_inline __u32 name_of(struct task_struct* task) { return *(const __u32*)&task->comm[0]; }

/* As find_place(), remembered: two lookups by hash, a cgroup's ancestors and the leader of the process take
 * longer than all the rest. */
static __always_inline __u32 place_of(struct task_struct* task, struct cpu_usage_cpu* cpu) {
    struct cpu_usage_recent_task* recent;
    __u64 start_ns = task->start_boottime;
    __u64 cgroup_id = task->cgroups->dfl_cgrp->kn->id;
    __u32 pid = task->pid, name = name_of(task);

    if (pid == 0) return place(CPU_USAGE_SLOT_IDLE, CPU_USAGE_HELPERS);
    recent = &cpu->recent[pid % CPU_USAGE_RECENT_TASKS];
    if (likely(recent->start_ns == start_ns && recent->pid == pid && recent->name == name &&
               recent->owners_version == cpu->owners_version && recent->cgroup_id == cgroup_id))
        return recent->place;
    /* Before anything is looked up: what the reader changes from now on comes with another version. */
    recent->owners_version = __sync_fetch_and_add(&cpu->owners_version, 0);
    recent->place = find_place(task);
    recent->start_ns = start_ns;
    recent->cgroup_id = cgroup_id;
    recent->pid = pid;
    recent->name = name;
    return recent->place;
}

/* The scheduler reads its clock as each switch begins. To read another one takes as long as all the rest
 * here where a machine's clock is dear. */
static __always_inline __u64 scheduler_ns(struct task_struct* current_task) {
    if (bpf_core_field_exists(current_task->se.cfs_rq)) return current_task->se.cfs_rq->rq->clock;
    return bpf_ktime_get_ns();
}

/* Between switches the scheduler's clock stands: the monotonic one tells the time there, less what the two
 * are apart. */
static __always_inline __u64 between_switches_ns(struct cpu_usage_cpu* cpu, __u64 scheduler) {
    __u64 monotonic = bpf_ktime_get_ns();

    if (!cpu->compared_ns) {
        cpu->apart_ns = monotonic - scheduler;
        cpu->compared_ns = scheduler;
    }
    cpu->compare_ns = 0;
    return monotonic - cpu->apart_ns;
}

/* At the switch after that, and once a second, so that they cannot drift far apart unseen. The scheduler's
 * clock was read before this one, mostly by a microsecond, but a virtual machine may be held up in between:
 * so the two are as near as they were ever seen, but for what they drift. */
static __always_inline void compare_clocks(struct cpu_usage_cpu* cpu, __u64 scheduler) {
    __s64 apart = bpf_ktime_get_ns() - scheduler, less;
    __s64 most = cpu->apart_ns + (__s64)((scheduler - cpu->compared_ns) >> 10);

    if (cpu->compared_ns && apart > most) apart = most;
    less = cpu->apart_ns - apart;
    if (cpu->compared_ns && !cpu->compare_ns) cpu->since_ns += less; /* the monotonic clock told it */
    cpu->apart_ns = apart;
    cpu->compared_ns = scheduler;
    cpu->compare_ns = scheduler + COMPARE_PERIOD_NS;
}

/* When the slice ends, and how long it was: slices follow one another without a gap or an overlap, whichever
 * clock ended them. */
static __always_inline __u64 take_time(struct cpu_usage_cpu* cpu, struct task_struct* task, bool at_switch,
                                       __u64* elapsed) {
    __u64 now = scheduler_ns(task);

    if (unlikely(!at_switch))
        now = between_switches_ns(cpu, now);
    else if (unlikely(now >= cpu->compare_ns))
        compare_clocks(cpu, now);
    /* The scheduler saves itself the reading where it read a moment ago. */
    if (unlikely((__s64)(now - cpu->since_ns) < 0)) now = cpu->since_ns;
    *elapsed = cpu->since_ns ? now - cpu->since_ns : 0;
    return now;
}

/* An event that a CPU lost stands still: neither its count nor its times go on. What it lost is how
 * much its time stays behind the scheduler's clock from then on, which is the clock of events, too. In one
 * slice that cannot be seen, since the two are read one after the other: an interrupt or, in a virtual
 * machine, a pause between them makes this slice longer for the event, and the next one shorter. But it only
 * ever makes the event seem ahead: how far behind it is, some switches tell together. Between them another
 * clock is read, which tells nothing of that. */
static __always_inline bool counted_all(struct cpu_usage_cpu* cpu, struct bpf_perf_event_value* value,
                                        bool at_switch, __u64 now, __u64 elapsed) {
    __u64 running = value->running - cpu->running;
    __s64 behind = now - value->running, most = cpu->behind_ns;

    if (value->enabled - cpu->enabled != running) return false;
    if (running == 0) return elapsed < 10000;
    if (!at_switch) return true;
    if (!cpu->behind_seen || behind > most) cpu->behind_ns = behind;
    if (cpu->behind_seen < ENOUGH_SEEN) {
        cpu->behind_seen++;
        return true;
    }
    return behind - most < 1000000 + (__s64)(elapsed >> 10);
}

/* Cycles in the slice that ends, and the time in which they were counted. What the event did not count
 * all the time is a gap: too few cycles would be a wrong share. */
static __always_inline __u64 take_cycles(struct cpu_usage_cpu* cpu, bool at_switch, __u64 now, __u64 elapsed,
                                         __u64* counted_ns) {
    struct bpf_perf_event_value value = {};
    __u64 cycles = 0;

    *counted_ns = 0;
    if (bpf_perf_event_read_value(&cycle_events, BPF_F_CURRENT_CPU, &value, sizeof(value)) < 0) {
        cpu->gaps++;
        cpu->has_counter = 0;
        return 0;
    }
    /* Another event in the place of one that was lost: nothing that is known of that one holds. */
    if (value.enabled < cpu->enabled) cpu->has_counter = 0;
    if (!cpu->has_counter) cpu->behind_seen = 0;
    if (cpu->has_counter && value.counter >= cpu->counter &&
        counted_all(cpu, &value, at_switch, now, elapsed)) {
        cycles = value.counter - cpu->counter;
        *counted_ns = value.running - cpu->running;
    } else if (cpu->since_ns) { /* else counting only starts */
        cpu->gaps++;
    }
    cpu->counter = value.counter;
    cpu->enabled = value.enabled;
    cpu->running = value.running;
    cpu->has_counter = 1;
    return cycles;
}

/* A slice of weeks does not overflow; a factor is below 2^27. */
static __always_inline __u64 scale_q20(__u64 value, __u64 factor) {
    return value >> 36 ? (value >> 20) * factor : value * factor >> 20;
}

static __always_inline __u64 busy_ns(__u64 busy, __u64 now) {
    return ((busy >> 1) + (busy & 1 ? now : 0)) & CPU_USAGE_BUSY_MASK;
}

/* How long the sibling was busy in the slice that ends. */
static __always_inline __u64 take_shared_ns(struct cpu_usage_cpu* cpu, __u64 now, __u64 elapsed) {
    struct cpu_usage_cpu* sibling;
    __u64 shared, now_busy;
    __u32 number = cpu->sibling_plus_1;

    if (number == 0) return 0;
    number--;
    sibling = bpf_map_lookup_elem(&cpus, &number);
    if (!sibling) return 0;
    now_busy = busy_ns(*(volatile __u64*)&sibling->busy, now);
    shared = (now_busy - cpu->sibling_busy_ns) & CPU_USAGE_BUSY_MASK;
    cpu->sibling_busy_ns = now_busy;
    if (shared <= elapsed) return shared;
    /* It changed its state a moment after our clock was read. */
    return shared >> 62 ? 0 : elapsed;
}

static __always_inline void note_busy(struct cpu_usage_cpu* cpu, __u64 now, bool busy) {
    if (likely((cpu->busy & 1) == busy)) return;
    *(volatile __u64*)&cpu->busy = ((busy_ns(cpu->busy, now) - (busy ? now : 0)) << 1) | busy;
}

/* What the slice weighs, and this CPU's sums of what weights are made from. */
static __always_inline __u64 weigh(struct cpu_usage_cpu* cpu, __u64 elapsed, __u64 shared_ns, __u64 cycles,
                                   __u64 counted_ns) {
    __u64 weight = cpu->count_cycles ? cycles : elapsed;
    const struct cpu_usage_settings* set;
    __u32 zero = 0;

    if (!shared_ns && !cycles) return weight;
    set = bpf_map_lookup_elem(&settings, &zero);
    if (!set) return weight;
    if (shared_ns) {
        __u64 part = shared_ns == elapsed ? CPU_USAGE_Q20
                     : elapsed >> 40      ? shared_ns / (elapsed >> 20)
                                          : (shared_ns << 20) / elapsed;
        __u64 shared = scale_q20(weight, part);

        cpu->shared += shared;
        weight += scale_q20(shared, set->shared_q20) - shared;
    }
    if (cycles && counted_ns) {
        /* cycles per ns are GHz */
        __u64 ghz_q10 = cycles >> 50 ? 0 : (cycles << 10) / counted_ns;
        __u64 ghz2_q20 = ghz_q10 > 10000 ? 0 : ghz_q10 * ghz_q10;

        cpu->squared += scale_q20(cycles, ghz2_q20);
        if (set->square_q20 || set->cycle_q20 != CPU_USAGE_Q20)
            weight = scale_q20(weight, set->cycle_q20 + (ghz2_q20 * set->square_q20 >> 20));
    }
    return weight;
}

static __always_inline void charge(struct task_struct* task, bool at_switch, bool busy_from_now) {
    __u64 elapsed, now, shared_ns, cycles = 0, counted_ns = 0;
    __u32 number = bpf_get_smp_processor_id(), where, slot;
    struct cpu_usage_part* part;
    struct cpu_usage_cpu* cpu;
    bool counts;

    cpu = bpf_map_lookup_elem(&cpus, &number);
    if (unlikely(!cpu)) return;
    counts = cpu->since_ns; /* else counting starts on this CPU */
    now = take_time(cpu, task, at_switch, &elapsed);
    shared_ns = take_shared_ns(cpu, now, elapsed);
    if (unlikely(cpu->count_cycles)) cycles = take_cycles(cpu, at_switch, now, elapsed, &counted_ns);
    cpu->since_ns = now;
    note_busy(cpu, now, busy_from_now);
    if (unlikely(!counts)) return;

    where = place_of(task, cpu);
    slot = where / CPU_USAGE_PARTS;
    barrier_var(slot); /* the verifier is to see the very value that is checked */
    if (unlikely(slot >= CPU_USAGE_SLOTS)) return;
    part = &cpu->usage[slot].parts[where % CPU_USAGE_PARTS];
    part->time_ns += elapsed;
    part->cycles += cycles;
    if (slot == CPU_USAGE_SLOT_IDLE)
        part->weight += cycles;
    else
        part->weight += weigh(cpu, elapsed, shared_ns, cycles, counted_ns);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct* prev, struct task_struct* next) {
    charge(prev, true, next->pid != 0);
    return 0;
}

/* Run by the reader on each CPU (BPF_PROG_TEST_RUN). Never attached. */
SEC("raw_tp/sched_switch")
int charge_running(void* context) {
    struct task_struct* task = bpf_get_current_task_btf();

    charge(task, false, task->pid != 0);
    return 0;
}
