// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading: the model first, then what shows it; away in the opposite order. */
#define pr_fmt(format) KBUILD_MODNAME ": " format

#include <linux/cpuhotplug.h>
#include <linux/module.h>

#include "power_host.h"

bool ph_powercap = true, ph_power_pmu = true, ph_cpu_pmu = true, ph_pstate, ph_amd, ph_locked;
unsigned long ph_wrap_uj = 65532610;

/* So that no sum with a counter overflows; and remainders are of something. */
#define WRAP_LOWEST_UJ 1UL
#define WRAP_HIGHEST_UJ (ULONG_MAX >> 2)
/* Not below pstate.c's lowest; and no driver's frequency is so far above that its power overflows. */
#define BASE_LOWEST_KHZ 1000000
#define BASE_HIGHEST_KHZ 10000000

static unsigned int counters = 3, base_khz = 2400000;
static unsigned long static_uw = 20000000, busy_cpu_uw = 5000000, dram_static_uw = 2000000, dram_busy_cpu_uw = 1000000;
static unsigned int frequency_exponent_percent = 100, smt_percent = 100;

static int set_wrap(const char *text, const struct kernel_param *parameter)
{
	unsigned long uj;
	int error = kstrtoul(text, 0, &uj);

	if (!error && (uj < WRAP_LOWEST_UJ || uj > WRAP_HIGHEST_UJ))
		error = -ERANGE;
	if (error) {
		pr_err("wrap_uj must be %lu to %lu\n", WRAP_LOWEST_UJ, WRAP_HIGHEST_UJ);
		return error;
	}
	WRITE_ONCE(ph_wrap_uj, uj);
	return 0;
}

static const struct kernel_param_ops wrap_ops = { .set = set_wrap, .get = param_get_ulong };

module_param_named(powercap, ph_powercap, bool, 0444);
MODULE_PARM_DESC(powercap, "zones under /sys/class/powercap");
module_param_named(power_pmu, ph_power_pmu, bool, 0444);
MODULE_PARM_DESC(power_pmu, "the PMU `power`");
module_param_named(cpu_pmu, ph_cpu_pmu, bool, 0444);
MODULE_PARM_DESC(cpu_pmu, "the PMU `cpu`: hardware counters");
module_param_named(pstate, ph_pstate, bool, 0444);
MODULE_PARM_DESC(pstate, "a cpufreq driver like intel_pstate");
module_param_named(amd, ph_amd, bool, 0444);
MODULE_PARM_DESC(amd, "zones and events as AMD's: no memory, no limits");
module_param_named(locked, ph_locked, bool, 0444);
MODULE_PARM_DESC(locked, "limits cannot be written");
module_param_cb(wrap_uj, &wrap_ops, &ph_wrap_uj, 0644);
__MODULE_PARM_TYPE(wrap_uj, "ulong");
MODULE_PARM_DESC(wrap_uj, "max_energy_range_uj: where the zones' counters wrap");
module_param(base_khz, uint, 0444);
MODULE_PARM_DESC(base_khz, "maximum frequency");
/* What the model begins with; debugfs changes and shows the present values. */
module_param(counters, uint, 0);
MODULE_PARM_DESC(counters, "hardware counters per CPU");
module_param(static_uw, ulong, 0);
MODULE_PARM_DESC(static_uw, "power of an idle package");
module_param(busy_cpu_uw, ulong, 0);
MODULE_PARM_DESC(busy_cpu_uw, "power of a busy CPU at the maximum frequency");
module_param(frequency_exponent_percent, uint, 0);
MODULE_PARM_DESC(frequency_exponent_percent, "a busy CPU's power goes with (f/max)^(this/100)");
module_param(smt_percent, uint, 0);
MODULE_PARM_DESC(smt_percent, "share of its power that each of two busy siblings draws");
module_param(dram_static_uw, ulong, 0);
MODULE_PARM_DESC(dram_static_uw, "power of a package's idle memory");
module_param(dram_busy_cpu_uw, ulong, 0);
MODULE_PARM_DESC(dram_busy_cpu_uw, "what a busy CPU adds to it");

static int online_state, gone_state;

static bool is_only_of_package(unsigned int number, const struct ph_cpu *cpu)
{
	unsigned int other;

	for_each_cpu_and(other, &cpu->package->cpus, cpu_online_mask)
		if (other != number)
			return false;
	return true;
}

static int came_online(unsigned int number)
{
	struct ph_cpu *cpu = model_cpu(number);

	power_pmu_cpu_online(number);
	if (cpu && is_only_of_package(number, cpu))
		powercap_package_online(cpu->package);
	return 0;
}

static int goes_offline(unsigned int number)
{
	struct ph_cpu *cpu = model_cpu(number);

	power_pmu_cpu_offline(number);
	if (cpu && is_only_of_package(number, cpu))
		powercap_package_offline(cpu->package);
	return 0;
}

static int is_gone(unsigned int number)
{
	model_cpu_gone(number);
	return 0;
}

static int hotplug_init(void)
{
	gone_state = cpuhp_setup_state(CPUHP_BP_PREPARE_DYN, "power_host:gone", NULL, is_gone);
	if (gone_state < 0)
		return gone_state;
	online_state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "power_host:online", came_online, goes_offline);
	if (online_state < 0)
		cpuhp_remove_state_nocalls(gone_state);
	return min(online_state, 0);
}

static void hotplug_exit(void)
{
	cpuhp_remove_state_nocalls(online_state);
	cpuhp_remove_state_nocalls(gone_state);
}

static int begin_limiter(void)
{
	limiter_init();
	return 0;
}

/* In order; a part that is switched off is left out. */
static const struct {
	const char *name;
	const bool *wanted;
	int (*init)(void);
	void (*exit)(void);
} parts[] = {
	{ "model", NULL, model_init, model_exit },
	{ "records", NULL, records_init, records_exit },
	{ "limiter", NULL, begin_limiter, limiter_exit },
	{ "probes", NULL, probes_init, probes_exit },
	{ "pstate", &ph_pstate, pstate_init, pstate_exit },
	{ "powercap", &ph_powercap, powercap_init, powercap_exit },
	{ "hotplug", NULL, hotplug_init, hotplug_exit },
	{ "PMU power", &ph_power_pmu, power_pmu_init, power_pmu_exit },
	{ "PMU cpu", &ph_cpu_pmu, cpu_pmu_init, cpu_pmu_exit },
	{ "debugfs", NULL, debugfs_init, debugfs_exit },
};

static void end_parts(unsigned int count)
{
	while (count--)
		if (!parts[count].wanted || *parts[count].wanted)
			parts[count].exit();
}

static int check_parameters(void)
{
	if (model.base_khz < BASE_LOWEST_KHZ || model.base_khz > BASE_HIGHEST_KHZ) {
		pr_err("base_khz=%u: must be %u to %u\n", model.base_khz, BASE_LOWEST_KHZ, BASE_HIGHEST_KHZ);
		return -ERANGE;
	}
	return controls_check();
}

static int __init power_host_init(void)
{
	unsigned int index;
	int error;

	model.base_khz = base_khz;
	model.parameters = (struct ph_parameters){
		static_uw, busy_cpu_uw, frequency_exponent_percent, smt_percent, dram_static_uw, dram_busy_cpu_uw, counters,
	};
	error = check_parameters();
	if (error)
		return error;
	for (index = 0; index < ARRAY_SIZE(parts); index++) {
		if (parts[index].wanted && !*parts[index].wanted)
			continue;
		error = parts[index].init();
		if (error) {
			pr_err("%s: error %d\n", parts[index].name, error);
			end_parts(index);
			return error;
		}
	}
	return 0;
}

static void __exit power_host_exit(void)
{
	end_parts(ARRAY_SIZE(parts));
}

module_init(power_host_init);
module_exit(power_host_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Plays the power hardware of a machine that has none");
