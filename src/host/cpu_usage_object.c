/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_usage_object.h"

/* The object is a string literal in it, longer than C99 asks compilers for. */
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "cpu_usage.skel.h"

const void* cpu_usage_object(size_t* size) { return cpu_usage_bpf__elf_bytes(size); }
