/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The compiled BPF program, as libbpf opens it. C, so that bpftool's skeleton stays in a C file. */
#ifndef VIRT_POWER_HOST_CPU_USAGE_OBJECT_H
#define VIRT_POWER_HOST_CPU_USAGE_OBJECT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

const void* cpu_usage_object(size_t* size);

#ifdef __cplusplus
}
#endif

#endif
