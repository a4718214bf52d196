/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later */
/* What the BPF program and its reader share. */
#ifndef VIRT_POWER_HOST_CPU_USAGE_H
#define VIRT_POWER_HOST_CPU_USAGE_H

/* Slots of the map `usage`: everything that no domain owns, the idle task,
 * then the domains. */
#define CPU_USAGE_SLOT_REST 0
#define CPU_USAGE_SLOT_IDLE 1
#define CPU_USAGE_SLOT_DOMAINS 2
#define CPU_USAGE_MAX_DOMAINS 4096

struct cpu_usage_value {
    unsigned long long time_ns;
    unsigned long long cycles;
};

/* Who owns a thread group. The start time tells a process from a later one
 * with the same pid. */
struct cpu_usage_owner {
    unsigned long long start_ns_min; /* start_boottime of the leader: from ... */
    unsigned long long start_ns_end; /* ... to below, one clock tick apart */
    unsigned int slot;
    unsigned int pad;
};

/* One per CPU: since when its present task runs. */
struct cpu_usage_state {
    unsigned long long since_ns;
    unsigned long long counter;
    unsigned long long enabled;
    unsigned long long running;
    unsigned long long gaps; /* slices whose cycles were not counted */
    unsigned long long has_counter;
    long long behind_ns; /* the clock less the event's time, at its most */
};

#endif
