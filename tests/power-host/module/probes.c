// SPDX-License-Identifier: GPL-2.0-only
/* Where the model learns what happens: the scheduler's tracepoints and cpufreq's transitions. */
#define pr_fmt(format) KBUILD_MODNAME ": " format

#include <linux/cpufreq.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "power_host.h"

static void on_switch(void *data, bool preempt, struct task_struct *prev, struct task_struct *next,
		      unsigned int prev_state)
{
	model_switch(smp_processor_id(), prev, next);
}

static void on_fork(void *data, struct task_struct *parent, struct task_struct *child)
{
	records_forked(parent, child);
}

static void on_exit(void *data, struct task_struct *task)
{
	records_exited(task);
}

static struct {
	const char *name;
	void *probe;
	struct tracepoint *tracepoint;
	bool registered;
} probes[] = {
	{ "sched_switch", on_switch },
	{ "sched_process_fork", on_fork },
	{ "sched_process_exit", on_exit },
};

static void note_tracepoint(struct tracepoint *tracepoint, void *unused)
{
	unsigned int index;

	for (index = 0; index < ARRAY_SIZE(probes); index++)
		if (!strcmp(tracepoint->name, probes[index].name))
			probes[index].tracepoint = tracepoint;
}

/* What runs when the module is loaded was switched to before. */
static void note_current(void *unused)
{
	model_switch(smp_processor_id(), NULL, current);
}

static int on_transition(struct notifier_block *block, unsigned long event, void *data)
{
	struct cpufreq_freqs *freqs = data;

	if (event == CPUFREQ_POSTCHANGE)
		model_set_khz(freqs->policy->cpus, freqs->new);
	return NOTIFY_OK;
}

static int on_policy(struct notifier_block *block, unsigned long event, void *data)
{
	struct cpufreq_policy *policy = data;

	if (event == CPUFREQ_CREATE_POLICY && policy->cur)
		model_set_khz(policy->cpus, policy->cur);
	else if (event == CPUFREQ_REMOVE_POLICY)
		model_set_khz(policy->related_cpus, model.base_khz);
	return NOTIFY_OK;
}

static struct notifier_block transition_block = { .notifier_call = on_transition };
static struct notifier_block policy_block = { .notifier_call = on_policy };
static bool frequency_followed;

static int follow_frequency(void)
{
	unsigned int number, khz;
	int error = cpufreq_register_notifier(&transition_block, CPUFREQ_TRANSITION_NOTIFIER);

	if (error) {
		pr_err("cpufreq switches frequencies without telling: load this module before the cpufreq driver\n");
		return error;
	}
	cpufreq_register_notifier(&policy_block, CPUFREQ_POLICY_NOTIFIER);
	frequency_followed = true;
	for_each_cpu(number, &model.covered) {
		khz = cpufreq_quick_get(number);
		if (khz)
			model_set_khz(cpumask_of(number), khz);
	}
	return 0;
}

int probes_init(void)
{
	unsigned int index;
	int error;

	for_each_kernel_tracepoint(note_tracepoint, NULL);
	for (index = 0; index < ARRAY_SIZE(probes); index++) {
		error = probes[index].tracepoint
			? tracepoint_probe_register(probes[index].tracepoint, probes[index].probe, NULL) : -ENOENT;
		if (error) {
			pr_err("tracepoint %s: error %d\n", probes[index].name, error);
			probes_exit();
			return error;
		}
		probes[index].registered = true;
	}
	on_each_cpu(note_current, NULL, 1);
	/* With pstate=1 the driver is this module's own, and tells directly. */
	error = ph_pstate ? 0 : follow_frequency();
	if (error)
		probes_exit();
	return error;
}

void probes_exit(void)
{
	unsigned int index;

	if (frequency_followed) {
		cpufreq_unregister_notifier(&policy_block, CPUFREQ_POLICY_NOTIFIER);
		cpufreq_unregister_notifier(&transition_block, CPUFREQ_TRANSITION_NOTIFIER);
	}
	for (index = 0; index < ARRAY_SIZE(probes); index++)
		if (probes[index].registered)
			tracepoint_probe_unregister(probes[index].tracepoint, probes[index].probe, NULL);
	/* A probe may still run on another CPU. */
	tracepoint_synchronize_unregister();
}
