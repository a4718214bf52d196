// SPDX-License-Identifier: GPL-2.0-only
/* The PMU `power`: the same energy counters through perf, one CPU per package, in steps of 2^-32 J as the kernel's. */
#include <linux/cpu.h>
#include <linux/module.h>
#include <linux/perf_event.h>

#include "power_host.h"

#define PERF_UNITS_SHIFT (32 - PH_UNITS_PER_J_SHIFT)

static struct cpumask reader_cpus;
static bool registered;

static const enum ph_domain domain_of_event[] = { PH_DOMAINS, PH_CORE, PH_PACKAGE, PH_DRAM };

static u64 counter_of(const struct perf_event *event)
{
	return model_energy_units(model_cpu(event->cpu)->package, domain_of_event[event->hw.config]);
}

static void event_read(struct perf_event *event)
{
	u64 before, now;

	do {
		before = local64_read(&event->hw.prev_count);
		now = counter_of(event);
	} while (local64_cmpxchg(&event->hw.prev_count, before, now) != before);
	local64_add((now - before) << PERF_UNITS_SHIFT, &event->count);
}

static void event_start(struct perf_event *event, int flags)
{
	event->hw.state = 0;
	local64_set(&event->hw.prev_count, counter_of(event));
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
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	if (flags & PERF_EF_START)
		event_start(event, flags);
	return 0;
}

static void event_del(struct perf_event *event, int flags)
{
	event_stop(event, PERF_EF_UPDATE);
}

static unsigned int reader_of(const struct ph_package *package)
{
	return cpumask_any_and(&reader_cpus, &package->cpus);
}

static int event_init(struct perf_event *event)
{
	u64 config = event->attr.config;
	struct ph_cpu *cpu;
	unsigned int reader;

	if (event->attr.type != event->pmu->type)
		return -ENOENT;
	if (event->cpu < 0 || event->attr.sample_period)
		return -EINVAL;
	if (!config || config >= ARRAY_SIZE(domain_of_event) || (ph_amd && domain_of_event[config] != PH_PACKAGE))
		return -EINVAL;
	cpu = model_cpu(event->cpu);
	reader = cpu ? reader_of(cpu->package) : nr_cpu_ids;
	if (reader >= nr_cpu_ids)
		return -EINVAL;
	event->event_caps |= PERF_EV_CAP_READ_ACTIVE_PKG;
	event->cpu = reader;
	event->hw.config = config;
	return 0;
}

static ssize_t cpumask_show(struct device *dev, struct device_attribute *attribute, char *page)
{
	return cpumap_print_to_pagebuf(true, page, &reader_cpus);
}
static DEVICE_ATTR_RO(cpumask);

static struct attribute *cpumask_attributes[] = { &dev_attr_cpumask.attr, NULL };
static const struct attribute_group cpumask_group = { .attrs = cpumask_attributes };

PMU_FORMAT_ATTR(event, "config:0-7");
static struct attribute *format_attributes[] = { &format_attr_event.attr, NULL };
static const struct attribute_group format_group = { .name = "format", .attrs = format_attributes };

#define ENERGY_EVENT(_id, _name, _config)								\
	PMU_EVENT_ATTR_STRING(energy-_name, _id##_event, _config);					\
	PMU_EVENT_ATTR_STRING(energy-_name.unit, _id##_unit, "Joules");					\
	PMU_EVENT_ATTR_STRING(energy-_name.scale, _id##_scale, "2.3283064365386962890625e-10")

ENERGY_EVENT(cores, cores, "event=0x01");
ENERGY_EVENT(pkg, pkg, "event=0x02");
ENERGY_EVENT(ram, ram, "event=0x03");

#define ENERGY_ATTRIBUTES(_id) &_id##_event.attr.attr, &_id##_unit.attr.attr, &_id##_scale.attr.attr

static struct attribute *intel_events[] = {
	ENERGY_ATTRIBUTES(cores), ENERGY_ATTRIBUTES(pkg), ENERGY_ATTRIBUTES(ram), NULL
};
static struct attribute *amd_events[] = { ENERGY_ATTRIBUTES(pkg), NULL };
static const struct attribute_group intel_group = { .name = "events", .attrs = intel_events };
static const struct attribute_group amd_group = { .name = "events", .attrs = amd_events };

static const struct attribute_group *intel_groups[] = { &cpumask_group, &format_group, &intel_group, NULL };
static const struct attribute_group *amd_groups[] = { &cpumask_group, &format_group, &amd_group, NULL };

static struct pmu power_pmu = {
	.module = THIS_MODULE,
	.task_ctx_nr = perf_invalid_context,
	.event_init = event_init,
	.add = event_add,
	.del = event_del,
	.start = event_start,
	.stop = event_stop,
	.read = event_read,
	.capabilities = PERF_PMU_CAP_NO_EXCLUDE,
};

/* Another CPU of the package takes the events over, as with the kernel's own. */
void power_pmu_cpu_offline(unsigned int number)
{
	struct ph_cpu *cpu = model_cpu(number);
	unsigned int target;

	if (!registered || !cpu || !cpumask_test_and_clear_cpu(number, &reader_cpus))
		return;
	for_each_cpu_and(target, &cpu->package->cpus, cpu_online_mask) {
		if (target == number)
			continue;
		cpumask_set_cpu(target, &reader_cpus);
		perf_pmu_migrate_context(&power_pmu, number, target);
		return;
	}
}

void power_pmu_cpu_online(unsigned int number)
{
	struct ph_cpu *cpu = model_cpu(number);

	if (cpu && reader_of(cpu->package) >= nr_cpu_ids)
		cpumask_set_cpu(number, &reader_cpus);
}

int power_pmu_init(void)
{
	int error;

	power_pmu.attr_groups = ph_amd ? amd_groups : intel_groups;
	error = perf_pmu_register(&power_pmu, "power", -1);
	registered = !error;
	return error;
}

void power_pmu_exit(void)
{
	if (registered)
		perf_pmu_unregister(&power_pmu);
	registered = false;
}
