/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_usage_program.h"

#include <errno.h>
#include <stddef.h>

#include "bpf/cpu_usage.h"
/* The object is a string literal in it, longer than C99 asks compilers for. */
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "cpu_usage.skel.h"

int cpu_usage_program_load(struct cpu_usage_program* program, int count_cycles) {
    struct cpu_usage_bpf* skeleton = cpu_usage_bpf__open();
    int error;

    program->skeleton = NULL;
    if (!skeleton) return errno;
    skeleton->rodata->count_cycles = count_cycles;
    /* It is run by the reader, never attached. */
    bpf_program__set_autoattach(skeleton->progs.charge_running, false);
    error = cpu_usage_bpf__load(skeleton);
    if (error != 0) {
        cpu_usage_bpf__destroy(skeleton);
        return -error;
    }
    program->skeleton = skeleton;
    program->owners = bpf_map__fd(skeleton->maps.owners);
    program->cgroup_owners = bpf_map__fd(skeleton->maps.cgroup_owners);
    program->usage = bpf_map__fd(skeleton->maps.usage);
    program->states = bpf_map__fd(skeleton->maps.states);
    program->cycle_events = bpf_map__fd(skeleton->maps.cycle_events);
    program->charge_running = bpf_program__fd(skeleton->progs.charge_running);
    program->cgroup_level = &skeleton->bss->cgroup_level;
    return 0;
}

int cpu_usage_program_attach(struct cpu_usage_program* program) {
    return -cpu_usage_bpf__attach(program->skeleton);
}

void cpu_usage_program_destroy(struct cpu_usage_program* program) {
    cpu_usage_bpf__destroy(program->skeleton);
    program->skeleton = NULL;
}
