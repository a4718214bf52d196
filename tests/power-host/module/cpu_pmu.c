// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PMU `cpu`: PERF_TYPE_RAW, which the kernel uses for PERF_TYPE_HARDWARE. A CPU's counters go on with its cycles
 * and stand still while it is idle. There are `counters` of them per CPU; perf multiplexes what is more.
 */
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>
#include <linux/slab.h>

#include "power_host.h"

enum kind { CYCLES, INSTRUCTIONS, REFERENCE_CYCLES, BUS_CYCLES };

#define BUS_NS_PER_CYCLE 10	/* 100 MHz */

static DEFINE_PER_CPU(unsigned int, used_counters);
static struct pmu *cpu_pmu;

static u64 counter_now(enum kind kind)
{
	struct ph_usage usage;

	model_read_cpu(smp_processor_id(), &usage);
	switch (kind) {
	case REFERENCE_CYCLES:
		return mul_u64_u64_div_u64(usage.time_ns, model.base_khz, 1000000);
	case BUS_CYCLES:
		return div_u64(usage.time_ns, BUS_NS_PER_CYCLE);
	default:
		return usage.cycles;	/* one instruction in each */
	}
}

/* Called on the CPU where the event counts, interrupts off. */
static void event_read(struct perf_event *event)
{
	u64 now = counter_now(event->hw.config);

	local64_add(now - local64_xchg(&event->hw.prev_count, now), &event->count);
}

static void event_start(struct perf_event *event, int flags)
{
	event->hw.state = 0;
	local64_set(&event->hw.prev_count, counter_now(event->hw.config));
}

static void event_stop(struct perf_event *event, int flags)
{
	if (event->hw.state & PERF_HES_STOPPED)
		return;
	event_read(event);
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
}

static int event_add(struct perf_event *event, int flags)
{
	if (!model_cpu(smp_processor_id()))
		return -ENODEV;
	if (__this_cpu_read(used_counters) >= READ_ONCE(model.parameters.counters))
		return -EAGAIN;
	__this_cpu_inc(used_counters);
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	if (flags & PERF_EF_START)
		event_start(event, flags);
	perf_event_update_userpage(event);
	return 0;
}

static void event_del(struct perf_event *event, int flags)
{
	event_stop(event, PERF_EF_UPDATE);
	__this_cpu_dec(used_counters);
	perf_event_update_userpage(event);
}

static int kind_of(const struct perf_event_attr *attr)
{
	if (attr->type == PERF_TYPE_HARDWARE) {
		switch (attr->config) {
		case PERF_COUNT_HW_CPU_CYCLES:
			return CYCLES;
		case PERF_COUNT_HW_INSTRUCTIONS:
			return INSTRUCTIONS;
		case PERF_COUNT_HW_REF_CPU_CYCLES:
			return REFERENCE_CYCLES;
		case PERF_COUNT_HW_BUS_CYCLES:
			return BUS_CYCLES;
		}
		return -ENOENT;
	}
	if (attr->type != PERF_TYPE_RAW)
		return -ENOENT;
	/* the architectural events of x86: event in bits 0-7, umask in 8-15 */
	switch (attr->config) {
	case 0x003c:
		return CYCLES;
	case 0x00c0:
		return INSTRUCTIONS;
	case 0x0300:
		return REFERENCE_CYCLES;
	}
	return -EINVAL;
}

/* A group counts all at once or never: one that does not fit is refused when it is opened. */
static bool group_fits(struct perf_event *event)
{
	struct perf_event *leader = event->group_leader, *sibling;
	unsigned int needed = 1;

	if (leader != event) {
		needed += leader->pmu == event->pmu;
		for_each_sibling_event(sibling, leader)
			needed += sibling->pmu == event->pmu;
	}
	return needed <= READ_ONCE(model.parameters.counters);
}

static int event_init(struct perf_event *event)
{
	const struct perf_event_attr *attr = &event->attr;
	int kind = kind_of(attr);

	if (kind < 0)
		return kind;
	if (has_branch_stack(event))
		return -EOPNOTSUPP;
	/* The model knows threads, not modes: it would count the same for each. */
	if (attr->exclude_user || attr->exclude_kernel || attr->exclude_host)
		return -EINVAL;
	if (!group_fits(event))
		return -EINVAL;
	event->hw.config = kind;
	return 0;
}

PMU_FORMAT_ATTR(event, "config:0-7");
PMU_FORMAT_ATTR(umask, "config:8-15");
static struct attribute *format_attributes[] = { &format_attr_event.attr, &format_attr_umask.attr, NULL };
static const struct attribute_group format_group = { .name = "format", .attrs = format_attributes };

PMU_EVENT_ATTR_STRING(cpu-cycles, event_cycles, "event=0x3c");
PMU_EVENT_ATTR_STRING(instructions, event_instructions, "event=0xc0");
PMU_EVENT_ATTR_STRING(ref-cycles, event_ref_cycles, "event=0x00,umask=0x03");
static struct attribute *event_attributes[] = {
	&event_cycles.attr.attr, &event_instructions.attr.attr, &event_ref_cycles.attr.attr, NULL
};
static const struct attribute_group events_group = { .name = "events", .attrs = event_attributes };

static const struct attribute_group *groups[] = { &format_group, &events_group, NULL };

int cpu_pmu_init(void)
{
	int error;

	cpu_pmu = kzalloc(sizeof(*cpu_pmu), GFP_KERNEL);
	if (!cpu_pmu)
		return -ENOMEM;
	*cpu_pmu = (struct pmu) {
		.module = THIS_MODULE,
		.task_ctx_nr = perf_hw_context,
		.attr_groups = groups,
		.event_init = event_init,
		.add = event_add,
		.del = event_del,
		.start = event_start,
		.stop = event_stop,
		.read = event_read,
		/*
		 * No sampling, as there is no interrupt. "Heterogeneous" only so that perf gives the tasks' context to the
		 * module when it is loaded a second time.
		 */
		.capabilities = PERF_PMU_CAP_NO_INTERRUPT | PERF_PMU_CAP_HETEROGENEOUS_CPUS,
	};
	error = perf_pmu_register(cpu_pmu, "cpu", PERF_TYPE_RAW);
	if (error) {
		kfree(cpu_pmu);
		cpu_pmu = NULL;
	}
	return error;
}

/*
 * A task that was ever counted keeps a context that names its PMU, without its events and without a reference to the
 * module, and every switch to it looks there. So the PMU's memory stays, pointing to nothing of this module.
 */
void cpu_pmu_exit(void)
{
	if (!cpu_pmu)
		return;
	perf_pmu_unregister(cpu_pmu);
	cpu_pmu->pmu_disable_count = alloc_percpu(int);
	cpu_pmu->module = NULL;
	cpu_pmu->name = NULL;
	cpu_pmu->attr_groups = NULL;
	cpu_pmu = NULL;
}
