/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loaded BPF program. C, so that bpftool's skeleton stays in a C file. */
#ifndef VIRT_POWER_HOST_CPU_USAGE_PROGRAM_H
#define VIRT_POWER_HOST_CPU_USAGE_PROGRAM_H

#ifdef __cplusplus
extern "C" {
#endif

struct cpu_usage_bpf;

/* Descriptors of maps and of the program that charges a running slice; they
 * belong to the skeleton. */
struct cpu_usage_program {
    struct cpu_usage_bpf* skeleton;
    int owners;
    int cgroup_owners;
    int usage;
    int states;
    int cycle_events;
    int charge_running;
    int* cgroup_level; /* read by the program */
};

/* Loads without attaching. 0, or an errno. */
int cpu_usage_program_load(struct cpu_usage_program* program, int count_cycles);
/* From here on each context switch is counted. 0, or an errno. */
int cpu_usage_program_attach(struct cpu_usage_program* program);
void cpu_usage_program_destroy(struct cpu_usage_program* program);

#ifdef __cplusplus
}
#endif

#endif
