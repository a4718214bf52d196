/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later */
/* What the BPF program and its reader share: the values of the maps. They may stay pinned while a daemon
 * is away, so a change of any of them, or of who owns a task, needs another CPU_USAGE_LAYOUT. */
#ifndef VIRT_POWER_HOST_CPU_USAGE_H
#define VIRT_POWER_HOST_CPU_USAGE_H

#define CPU_USAGE_LAYOUT 3

/* Slots of each CPU: everything that no domain owns, the idle task, what domains used that
 * ended long ago, then the domains. */
#define CPU_USAGE_SLOT_REST 0
#define CPU_USAGE_SLOT_IDLE 1
#define CPU_USAGE_SLOT_FORGOTTEN 2
#define CPU_USAGE_SLOT_DOMAINS 3
#define CPU_USAGE_MAX_DOMAINS 4096
#define CPU_USAGE_SLOTS (CPU_USAGE_SLOT_DOMAINS + CPU_USAGE_MAX_DOMAINS)

/* Of all domains: QEMU, and helpers that are not found by their cgroup. */
#define CPU_USAGE_MAX_PROCESSES (4 * CPU_USAGE_MAX_DOMAINS)

/* How many depths of cgroups domains may have at a time. */
#define CPU_USAGE_MAX_LEVELS 4

/* A domain's vCPUs, and all else that works for it. What no domain owns is in the latter. */
#define CPU_USAGE_VCPUS 0
#define CPU_USAGE_HELPERS 1
#define CPU_USAGE_PARTS 2

struct cpu_usage_part {
    unsigned long long time_ns;
    unsigned long long cycles;
    unsigned long long weight; /* of cycles, or of nanoseconds where none are counted */
};

/* Of one slot on one CPU: a cache line. */
struct cpu_usage_value {
    struct cpu_usage_part parts[CPU_USAGE_PARTS];
    unsigned long long pad[2];
};

/* Who owns a thread group. The start time tells a process from a later one
 * with the same pid. */
struct cpu_usage_owner {
    unsigned long long start_ns_min; /* start_boottime of the leader: from ... */
    unsigned long long start_ns_end; /* ... to below, one clock tick apart */
    unsigned int slot;
    unsigned int pad;
};

/* Where the program charged a task the last time on this CPU. What that depends on is all here, so that it
 * need not be looked for again: the task's process, name and cgroups, and the version of what the reader
 * knows. */
struct cpu_usage_recent_task {
    unsigned long long start_ns;  /* with pid: which task */
    unsigned long long cgroup_id; /* version 2; an id is never given twice */
    unsigned int pid;
    unsigned int name; /* its first four letters */
    unsigned int owners_version;
    unsigned int place; /* CPU_USAGE_PARTS x slot + part */
};

#define CPU_USAGE_RECENT_TASKS 256

/* All of one CPU in one place, in whole pages: the first access to each map takes longer than all the
 * others to it. Of its sums, the first cache line is all that a switch needs where no cycles are counted.
 * Times are the scheduler's: its clock is the CPU's own, and not the monotonic one. */
struct cpu_usage_cpu {
    /* since when its present task runs */
    unsigned long long since_ns;
    /* Its busy time at time t is (busy >> 1) + (busy & 1 ? t : 0), modulo 2^63: one word, so that the
     * sibling reads it whole. */
    unsigned long long busy;
    unsigned long long sibling_busy_ns; /* the sibling's, at since_ns */
    long long apart_ns;                 /* the monotonic clock less the scheduler's */
    unsigned long long compare_ns;      /* when a switch compares them again; 0: the next one */
    unsigned int owners_version;        /* of the reader: another one with each change of who owns what */
    unsigned int sibling_plus_1;        /* number of the CPU; 0: none */
    unsigned int count_cycles;          /* of the reader */
    unsigned int has_counter;
    /* a sum over all its tasks: cycles or nanoseconds with a busy sibling */
    unsigned long long shared;

    unsigned long long counter;
    unsigned long long enabled;
    unsigned long long running;
    unsigned long long gaps;        /* slices whose cycles were not counted */
    unsigned long long compared_ns; /* when they were compared last; 0: never */
    long long behind_ns;            /* the clock less the event's time, at its most, at a switch */
    unsigned long long squared;     /* a sum as `shared`: cycles x GHz^2 */
    long long package_id;           /* of the reader */

    unsigned int package_plus_1; /* of the reader: index of its package; 0: never seen online */
    unsigned int behind_seen;    /* at so many switches */
    unsigned int pad[14];

    struct cpu_usage_recent_task recent[CPU_USAGE_RECENT_TASKS]; /* by the last bits of pid */
    struct cpu_usage_value usage[CPU_USAGE_SLOTS];
} __attribute__((aligned(4096)));

#define CPU_USAGE_BUSY_MASK (~0ULL >> 1)
#define CPU_USAGE_Q20 (1U << 20)

struct cpu_usage_settings {
    unsigned int cgroup_levels[CPU_USAGE_MAX_LEVELS]; /* depths of the domains' cgroups; 0: no more */
    /* as struct Weighing, 1 is CPU_USAGE_Q20 */
    unsigned int shared_q20;
    unsigned int cycle_q20;
    unsigned int square_q20;
    /* of the reader, to tell what it finds pinned */
    unsigned int layout;
    unsigned int count_cycles;
    unsigned long long epoch;
    unsigned long long start_ns;
    char boot_id[40];
};

/* Of the reader: whose slot it is, for one that comes after it. */
#define CPU_USAGE_FREE 0
#define CPU_USAGE_RUNNING 1
#define CPU_USAGE_ENDED 2
#define CPU_USAGE_CHANGING 3 /* died while it wrote: nothing here can be believed */

#define CPU_USAGE_LABEL_SIZE 304

struct cpu_usage_domain {
    unsigned int state;
    unsigned int pid;
    unsigned long long start_ticks;
    unsigned long long cgroup_id; /* 0: none */
    unsigned long long ended_ns;
    unsigned int label_size;
    unsigned int pad;
    char label[CPU_USAGE_LABEL_SIZE];
};

/* Of the reader: where an energy counter stands. */
#define CPU_USAGE_MAX_ZONES 512

struct cpu_usage_zone {
    char name[96]; /* empty: free */
    char source[24];
    unsigned long long writing; /* odd: died while it wrote */
    unsigned long long raw_uj;
    unsigned long long raw_ns;
    unsigned long long energy_uj;
    unsigned long long gaps;
    unsigned long long moved;
};

#endif
