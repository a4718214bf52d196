// SPDX-License-Identifier: GPL-2.0-only
/*
 * A cpufreq driver like intel_pstate in its active mode: no governors of the kernel's, two policies, and a preference
 * for energy or performance. As the hardware chooses the frequency, `powersave` here chooses a fixed share of the range
 * by the preference; `performance` is always the maximum.
 */
#define pr_fmt(format) KBUILD_MODNAME ": " format

#include <linux/cpu.h>
#include <linux/cpufreq.h>
#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/mutex.h>

#include "power_host.h"

#define MIN_KHZ 800000
#define NO_TURBO_PERCENT 83	/* 2.0 of 2.4 GHz */

static const struct {
	const char *name;
	unsigned int range_percent;	/* of the range, under powersave */
} preferences[] = {
	{ "default", 85 },
	{ "performance", 100 },
	{ "balance_performance", 85 },
	{ "balance_power", 60 },
	{ "power", 30 },
};

#define PREFER_DEFAULT 0
#define PREFER_PERFORMANCE 1

static unsigned int max_percent = 100, min_percent, turbo_off;
static struct kobject *directory;
static bool registered;
static DEFINE_MUTEX(limits_mutex);

static unsigned int highest_khz(void)
{
	unsigned int khz = model.base_khz;

	if (turbo_off)
		khz = khz / 100 * NO_TURBO_PERCENT;
	return min(khz, model.base_khz / 100 * max_percent);
}

static int pstate_verify(struct cpufreq_policy_data *policy)
{
	cpufreq_verify_within_cpu_limits(policy);
	return 0;
}

static unsigned int preference_of(const struct cpufreq_policy *policy)
{
	return (unsigned long)policy->driver_data;
}

static int pstate_setpolicy(struct cpufreq_policy *policy)
{
	unsigned int top = max(min(policy->max, highest_khz()), policy->cpuinfo.min_freq);
	unsigned int bottom = clamp(model.base_khz / 100 * min_percent, policy->min, top);
	unsigned int khz = top;

	if (policy->policy == CPUFREQ_POLICY_POWERSAVE)
		khz = bottom + (top - bottom) / 100 * preferences[preference_of(policy)].range_percent;
	model_set_khz(policy->cpus, khz);
	return 0;
}

static unsigned int pstate_get(unsigned int number)
{
	struct ph_cpu *cpu = model_cpu(number);

	return cpu ? div_u64(READ_ONCE(cpu->rate_hz), 1000) : 0;
}

static int pstate_cpu_init(struct cpufreq_policy *policy)
{
	policy->cpuinfo.min_freq = MIN_KHZ;
	policy->cpuinfo.max_freq = model.base_khz;
	policy->cpuinfo.transition_latency = CPUFREQ_ETERNAL;
	policy->min = MIN_KHZ;
	policy->max = model.base_khz;
	policy->policy = CPUFREQ_POLICY_PERFORMANCE;
	policy->driver_data = (void *)PREFER_DEFAULT;
	return 0;
}

static int pstate_cpu_exit(struct cpufreq_policy *policy)
{
	return 0;
}

static ssize_t show_energy_performance_available_preferences(struct cpufreq_policy *policy, char *page)
{
	unsigned int index;
	ssize_t size = 0;

	for (index = 0; index < ARRAY_SIZE(preferences); index++)
		size += sysfs_emit_at(page, size, "%s ", preferences[index].name);
	return size + sysfs_emit_at(page, size, "\n");
}

static ssize_t show_energy_performance_preference(struct cpufreq_policy *policy, char *page)
{
	bool performance = policy->policy == CPUFREQ_POLICY_PERFORMANCE;

	return sysfs_emit(page, "%s\n", preferences[performance ? PREFER_PERFORMANCE : preference_of(policy)].name);
}

static ssize_t store_energy_performance_preference(struct cpufreq_policy *policy, const char *text, size_t size)
{
	unsigned long index;

	for (index = 0; index < ARRAY_SIZE(preferences); index++)
		if (sysfs_streq(text, preferences[index].name))
			break;
	if (index == ARRAY_SIZE(preferences))
		return -EINVAL;
	/* As the kernel's driver: under `performance` there is nothing to prefer. */
	if (policy->policy == CPUFREQ_POLICY_PERFORMANCE && index > PREFER_PERFORMANCE)
		return -EBUSY;
	policy->driver_data = (void *)index;
	pstate_setpolicy(policy);
	return size;
}

cpufreq_freq_attr_ro(energy_performance_available_preferences);
cpufreq_freq_attr_rw(energy_performance_preference);

static struct freq_attr *policy_attributes[] = {
	&energy_performance_available_preferences, &energy_performance_preference, NULL
};

static struct cpufreq_driver driver = {
	.name = "intel_pstate",
	.flags = CPUFREQ_CONST_LOOPS,
	.init = pstate_cpu_init,
	.exit = pstate_cpu_exit,
	.verify = pstate_verify,
	.setpolicy = pstate_setpolicy,
	.get = pstate_get,
	.attr = policy_attributes,
};

static void apply_to_all(void)
{
	unsigned int cpu;

	for_each_online_cpu(cpu)
		cpufreq_update_policy(cpu);
}

static ssize_t store_limit(unsigned int *limit, unsigned int lowest, unsigned int highest, const char *text,
			   size_t size)
{
	unsigned int value;

	if (kstrtouint(text, 10, &value))
		return -EINVAL;
	mutex_lock(&limits_mutex);
	*limit = clamp(value, lowest, highest);
	mutex_unlock(&limits_mutex);
	apply_to_all();
	return size;
}

static ssize_t show_max_perf_pct(struct kobject *object, struct kobj_attribute *attribute, char *page)
{
	return sysfs_emit(page, "%u\n", max_percent);
}

static ssize_t store_max_perf_pct(struct kobject *object, struct kobj_attribute *attribute, const char *text,
				  size_t size)
{
	return store_limit(&max_percent, max(min_percent, 1U), 100, text, size);
}

static ssize_t show_min_perf_pct(struct kobject *object, struct kobj_attribute *attribute, char *page)
{
	return sysfs_emit(page, "%u\n", max(min_percent, MIN_KHZ / (model.base_khz / 100)));
}

static ssize_t store_min_perf_pct(struct kobject *object, struct kobj_attribute *attribute, const char *text,
				  size_t size)
{
	return store_limit(&min_percent, 0, max_percent, text, size);
}

static ssize_t show_no_turbo(struct kobject *object, struct kobj_attribute *attribute, char *page)
{
	return sysfs_emit(page, "%u\n", turbo_off);
}

static ssize_t store_no_turbo(struct kobject *object, struct kobj_attribute *attribute, const char *text, size_t size)
{
	return store_limit(&turbo_off, 0, 1, text, size);
}

static ssize_t show_status(struct kobject *object, struct kobj_attribute *attribute, char *page)
{
	return sysfs_emit(page, "active\n");
}

/* There is no other mode to switch to. */
static ssize_t store_status(struct kobject *object, struct kobj_attribute *attribute, const char *text, size_t size)
{
	return sysfs_streq(text, "active") ? size : -EINVAL;
}

define_one_global_rw(max_perf_pct);
define_one_global_rw(min_perf_pct);
define_one_global_rw(no_turbo);
define_one_global_rw(status);

static const struct attribute *directory_attributes[] = {
	&max_perf_pct.attr, &min_perf_pct.attr, &no_turbo.attr, &status.attr, NULL
};

int pstate_init(void)
{
	int error;

	directory = kobject_create_and_add("intel_pstate", &cpu_subsys.dev_root->kobj);
	if (!directory)
		return -ENOMEM;
	error = sysfs_create_files(directory, directory_attributes);
	if (!error)
		error = cpufreq_register_driver(&driver);
	if (error)
		pr_err("pstate: the cpufreq driver cannot be registered (error %d); is another one loaded?\n", error);
	registered = !error;
	if (error)
		pstate_exit();
	return error;
}

void pstate_exit(void)
{
	if (registered)
		cpufreq_unregister_driver(&driver);
	registered = false;
	kobject_put(directory);
	directory = NULL;
}
