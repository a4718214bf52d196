// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model: what a CPU draws and counts, charged to it and to the thread that runs there.
 *
 * A slice of time is charged when anything changes that its rate depends on: the thread, the sibling's state,
 * the frequency, the limiter, a parameter, a class; and when somebody reads. As a thread's power depends on
 * whether the sibling is busy, the CPUs of a core are charged together, under the core's lock and up to one
 * instant of one clock.
 */
#define pr_fmt(format) KBUILD_MODNAME ": " format

#include <linux/math64.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/topology.h>

#include "power_host.h"

struct ph_model model;

/* Each core once, in the order of the CPUs. */
#define for_each_core(core, number)                                                                                    \
	for_each_cpu(number, &model.covered)                                                                           \
		if (((core) = &model.cpus[number].own_core)->leads)

/* One clock for all CPUs, safe wherever the scheduler is; BPF's bpf_ktime_get_ns() is the same. */
u64 model_clock_ns(void)
{
	return ktime_get_mono_fast_ns();
}

static u64 busy_power_nw(const struct ph_cpu *cpu, bool sibling_busy)
{
	const struct ph_parameters *p = &model.parameters;
	u64 nw = mul_u64_u64_shr(p->busy_cpu_uw * PH_NW_PER_UW, cpu->power_q30, 30);

	nw = div_u64(nw * READ_ONCE(cpu->running->process->class_percent), 100);
	return sibling_busy ? div_u64(nw * p->smt_percent, 100) : nw;
}

static void add_usage(struct ph_usage *to, const struct ph_usage *slice)
{
	to->energy_aj += slice->energy_aj;
	to->dram_aj += slice->dram_aj;
	to->time_ns += slice->time_ns;
	to->cycles += slice->cycles;
}

static void charge_core(struct ph_core *core, u64 now)
{
	unsigned int number, busy = 0;
	u64 elapsed;

	/* The clock is read outside of the lock's order: another CPU may have been ahead by a hair. */
	if (now <= core->since_ns)
		return;
	elapsed = now - core->since_ns;
	core->since_ns = now;

	for_each_cpu(number, &core->cpus)
		busy += model.cpus[number].running != NULL;
	if (!busy)
		return;
	for_each_cpu(number, &core->cpus) {
		struct ph_cpu *cpu = &model.cpus[number];
		struct ph_usage slice;

		if (!cpu->running)
			continue;
		slice.time_ns = elapsed;
		slice.energy_aj = (ph_u128)elapsed * busy_power_nw(cpu, busy > 1);
		slice.dram_aj = (ph_u128)elapsed * (model.parameters.dram_busy_cpu_uw * PH_NW_PER_UW);
		slice.cycles = mul_u64_u64_div_u64(elapsed, cpu->rate_hz, NSEC_PER_SEC);
		add_usage(&cpu->usage, &slice);
		add_usage(&cpu->running->usage[cpu->package->index], &slice);
	}
}

static void charge_static(struct ph_package *package, u64 now)
{
	u64 elapsed;

	if (now <= package->static_since_ns)
		return;
	elapsed = now - package->static_since_ns;
	package->static_since_ns = now;
	package->static_aj += (ph_u128)elapsed * (model.parameters.static_uw * PH_NW_PER_UW);
	package->dram_static_aj += (ph_u128)elapsed * (model.parameters.dram_static_uw * PH_NW_PER_UW);
}

/*
 * Stops the model at one instant: everything is charged up to it. A package's static energy is guarded by all the
 * locks together. Every caller takes them in the order of the CPUs.
 */
unsigned long model_lock_all(u64 *now_ns)
{
	struct ph_core *core;
	unsigned long flags;
	unsigned int number;
	u64 now;

	local_irq_save(flags);
	for_each_core(core, number)
		raw_spin_lock(&core->lock);
	now = model_clock_ns();
	for_each_core(core, number)
		charge_core(core, now);
	for (number = 0; number < model.nr_packages; number++)
		charge_static(&model.packages[number], now);
	if (now_ns)
		*now_ns = now;
	return flags;
}

void model_unlock_all(unsigned long flags)
{
	struct ph_core *core;
	unsigned int number;

	for_each_core(core, number)
		raw_spin_unlock(&core->lock);
	local_irq_restore(flags);
}

/* Called on that CPU. */
void model_switch(unsigned int number, struct task_struct *prev, struct task_struct *next)
{
	struct ph_cpu *cpu = model_cpu(number);
	unsigned long flags;

	if (!cpu)
		return;
	raw_spin_lock_irqsave(&cpu->core->lock, flags);
	charge_core(cpu->core, model_clock_ns());
	if (cpu->running && prev)
		records_note_comm(cpu->running, prev);
	cpu->running = next->pid ? records_of(next) : NULL;
	cpu->next = next;
	cpu->at_switch = cpu->usage;
	raw_spin_unlock_irqrestore(&cpu->core->lock, flags);
}

/* A dying CPU's last switch, to its idle thread, is not told: tracepoints are silent once it counts as offline. */
void model_cpu_gone(unsigned int number)
{
	struct ph_cpu *cpu = model_cpu(number);
	unsigned long flags;

	if (!cpu)
		return;
	raw_spin_lock_irqsave(&cpu->core->lock, flags);
	charge_core(cpu->core, model_clock_ns());
	cpu->running = NULL;
	cpu->next = NULL;
	raw_spin_unlock_irqrestore(&cpu->core->lock, flags);
}

/*
 * Called on that CPU. A switch happens at one instant: those who read within its tracepoint get what there was when we
 * were told of it, since the probes' own time, long on an emulated machine, is no cycles of the task that comes.
 */
void model_read_cpu(unsigned int number, struct ph_usage *usage)
{
	struct ph_cpu *cpu = model_cpu(number);
	unsigned long flags;

	raw_spin_lock_irqsave(&cpu->core->lock, flags);
	charge_core(cpu->core, model_clock_ns());
	*usage = cpu->next && cpu->next != current ? cpu->at_switch : cpu->usage;
	raw_spin_unlock_irqrestore(&cpu->core->lock, flags);
}

struct ph_usage model_package_dynamic(const struct ph_package *package)
{
	struct ph_usage sum = {};
	unsigned int number;

	for_each_cpu(number, &package->cpus)
		add_usage(&sum, &model.cpus[number].usage);
	return sum;
}

u64 model_energy_units(struct ph_package *package, enum ph_domain domain)
{
	unsigned long flags = model_lock_all(NULL);
	struct ph_usage dynamic = model_package_dynamic(package);
	ph_u128 aj = 0;

	switch (domain) {
	case PH_PACKAGE:
		aj = package->static_aj + dynamic.energy_aj;
		break;
	case PH_DRAM:
		aj = package->dram_static_aj + dynamic.dram_aj;
		break;
	default:
		aj = dynamic.energy_aj;
		break;
	}
	model_unlock_all(flags);
	return div_u128(aj, PH_AJ_PER_UNIT);
}

u64 units_to_uj(u64 units)
{
	return mul_u64_u64_shr(units, 1000000, PH_UNITS_PER_J_SHIFT);
}

/* All locks are held, and all is charged. */
void model_update_rates(struct ph_package *package)
{
	unsigned int number;

	for_each_cpu(number, &package->cpus) {
		struct ph_cpu *cpu = &model.cpus[number];

		cpu->rate_hz = (u64)cpu->khz * package->permille;
		cpu->power_q30 = pow_q30(div_u64(cpu->rate_hz << 20, model.base_khz) * 1024 / PH_PERMILLE,
					 model.parameters.frequency_exponent_percent);
	}
}

static void update_all_rates(void)
{
	unsigned int index;

	for (index = 0; index < model.nr_packages; index++)
		model_update_rates(&model.packages[index]);
}

void model_set_khz(const struct cpumask *cpus, u32 khz)
{
	unsigned long flags = model_lock_all(NULL);
	unsigned int number;

	for_each_cpu_and(number, cpus, &model.covered)
		model.cpus[number].khz = khz;
	update_all_rates();
	model_unlock_all(flags);
}

/* All locks are held. */
void model_parameters_changed(void)
{
	update_all_rates();
}

void model_reset(void)
{
	unsigned long flags = model_lock_all(NULL);
	unsigned int number;

	for_each_cpu(number, &model.covered)
		model.cpus[number].base = model.cpus[number].usage;
	for (number = 0; number < model.nr_packages; number++) {
		struct ph_package *package = &model.packages[number];

		package->static_base_aj = package->static_aj;
		package->dram_static_base_aj = package->dram_static_aj;
	}
	records_reset();
	model_unlock_all(flags);
}

static struct ph_package *package_with_id(int id, u64 now)
{
	struct ph_package *package;
	unsigned int index;

	for (index = 0; index < model.nr_packages; index++)
		if (model.packages[index].id == id)
			return &model.packages[index];
	if (model.nr_packages == PH_MAX_PACKAGES)
		return NULL;
	package = &model.packages[model.nr_packages];
	package->id = id;
	package->index = model.nr_packages++;
	package->static_since_ns = now;
	package->permille = PH_PERMILLE;
	return package;
}

int model_init(void)
{
	u64 now = model_clock_ns();
	unsigned int number;

	/* A CPU that is offline has no package and no sibling that the kernel would tell. */
	if (!cpumask_equal(cpu_online_mask, cpu_present_mask)) {
		pr_err("a CPU is offline; bring all of them online, then load the module\n");
		return -EINVAL;
	}
	model.cpus = kcalloc(nr_cpu_ids, sizeof(*model.cpus), GFP_KERNEL);
	if (!model.cpus)
		return -ENOMEM;
	cpumask_copy(&model.covered, cpu_online_mask);
	for_each_cpu(number, &model.covered) {
		const struct cpumask *siblings = topology_sibling_cpumask(number);
		struct ph_cpu *cpu = &model.cpus[number];

		cpu->core = &model.cpus[cpumask_first(siblings)].own_core;
		cpu->core->leads = true;
		cpumask_set_cpu(number, &cpu->core->cpus);
		cpu->core->since_ns = now;
		raw_spin_lock_init(&cpu->own_core.lock);
		cpu->package = package_with_id(topology_physical_package_id(number), now);
		if (!cpu->package) {
			pr_err("more than %d packages\n", PH_MAX_PACKAGES);
			kfree(model.cpus);
			return -E2BIG;
		}
		cpumask_set_cpu(number, &cpu->package->cpus);
		cpu->khz = model.base_khz;
	}
	update_all_rates();
	return 0;
}

void model_exit(void)
{
	kfree(model.cpus);
}
