// SPDX-License-Identifier: GPL-2.0-only
/*
 * The zones under /sys/class/powercap, as intel_rapl gives them, and what can go wrong with them: a zone goes away and
 * comes back, its counter cannot be read, jumps back, or is slow.
 */
#define pr_fmt(format) KBUILD_MODNAME ": " format

#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "powercap.h"

#define WAIT_STEP_MS 20
#define LONGEST_WAIT_MS 60000

static DEFINE_MUTEX(powercap_mutex);
static struct powercap_control_type *control_type;
static struct ph_zone_state states[PH_MAX_PACKAGES][PH_DOMAINS];
static bool has_cpus[PH_MAX_PACKAGES] = { [0 ... PH_MAX_PACKAGES - 1] = true };	/* powercap_mutex */
static atomic_t registrations;	/* zones that the powercap core still holds */

/* In steps, so that who waits ends when it is killed, or when there is nothing to wait for any more. */
int powercap_wait(const unsigned int *ms)
{
	u64 begun_ns = ktime_get_ns();

	while (ktime_get_ns() - begun_ns < READ_ONCE(*ms) * (u64)NSEC_PER_MSEC) {
		schedule_timeout_killable(msecs_to_jiffies(WAIT_STEP_MS));
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

static int get_energy(struct powercap_zone *zone, u64 *uj)
{
	struct ph_zone_state *state = zone_state(zone);
	u64 range_uj = READ_ONCE(ph_wrap_uj) + 1;
	int error = powercap_wait(&state->slow_ms);

	if (error)
		return error;
	if (READ_ONCE(state->eio))
		return -EIO;
	*uj = units_to_uj(model_energy_units(state->package, state->domain));
	/* Unsigned, so that a jump beyond the start comes out as the counter's high end. */
	*uj = (*uj + range_uj - READ_ONCE(state->behind_uj) % range_uj) % range_uj;
	return 0;
}

static int get_max_energy(struct powercap_zone *zone, u64 *uj)
{
	*uj = READ_ONCE(ph_wrap_uj);
	return 0;
}

static int release(struct powercap_zone *zone)
{
	kfree(container_of(zone, struct ph_zone, powercap));
	if (atomic_dec_and_test(&registrations))
		wake_up_var(&registrations);
	return 0;
}

static const struct powercap_zone_ops zone_ops = {
	.get_max_energy_range_uj = get_max_energy,
	.get_energy_uj = get_energy,
	.set_enable = constraints_set_enable,
	.get_enable = constraints_get_enable,
	.release = release,
};

static bool has_domain(enum ph_domain domain)
{
	return domain != PH_DRAM || !ph_amd;
}

static int nr_constraints(enum ph_domain domain)
{
	if (ph_amd)
		return 0;
	return domain == PH_PACKAGE ? PH_CONSTRAINTS : 1;
}

static int register_zone(struct ph_zone_state *state)
{
	static const char * const subzone_names[PH_DOMAINS] = { NULL, "core", "dram" };
	struct ph_zone_state *parent = &states[state->package->index][PH_PACKAGE];
	struct powercap_zone *registered;
	struct ph_zone *zone;
	char name[24];

	if (state->zone)
		return -EEXIST;
	if (state->domain != PH_PACKAGE && !parent->zone)
		return -ENODEV;
	if (state->domain == PH_PACKAGE)
		snprintf(name, sizeof(name), "package-%d", state->package->id);
	else
		strscpy(name, subzone_names[state->domain], sizeof(name));
	zone = kzalloc(sizeof(*zone), GFP_KERNEL);
	if (!zone)
		return -ENOMEM;
	zone->state = state;
	atomic_inc(&registrations);
	registered = powercap_register_zone(&zone->powercap, control_type, name,
					    state->domain == PH_PACKAGE ? NULL : &parent->zone->powercap, &zone_ops,
					    nr_constraints(state->domain), &constraint_ops);
	if (IS_ERR(registered)) {
		/* Whether the core released it already cannot be told: better a few bytes lost. */
		atomic_dec(&registrations);
		return PTR_ERR(registered);
	}
	state->zone = zone;
	return 0;
}

static void unregister_zone(struct ph_zone_state *state)
{
	if (state->zone)
		powercap_unregister_zone(control_type, &state->zone->powercap);
	state->zone = NULL;
}

/* A package takes its subzones with it. */
static void vanish(struct ph_zone_state *state)
{
	int domain;

	if (state->domain == PH_PACKAGE)
		for (domain = PH_DOMAINS - 1; domain > PH_PACKAGE; domain--)
			unregister_zone(&states[state->package->index][domain]);
	unregister_zone(state);
}

static int come_back(struct ph_zone_state *state)
{
	int domain, error;

	if (!has_cpus[state->package->index])
		return -ENODEV;
	error = register_zone(state);
	if (error || state->domain != PH_PACKAGE)
		return error;
	for (domain = PH_PACKAGE + 1; domain < PH_DOMAINS && !error; domain++)
		if (has_domain(domain))
			error = register_zone(&states[state->package->index][domain]);
	return error;
}

/* All that is missing, of every package with a CPU online. */
static int come_back_all(void)
{
	unsigned int index;
	int domain, error = 0;

	for (index = 0; index < model.nr_packages; index++)
		for (domain = 0; domain < PH_DOMAINS; domain++)
			if (has_domain(domain) && !states[index][domain].zone && has_cpus[index])
				error = register_zone(&states[index][domain]) ?: error;
	return error;
}

/* A package is there while one of its CPUs is: both are called as CPUs go and come. */
void powercap_package_offline(struct ph_package *package)
{
	if (!control_type)
		return;
	mutex_lock(&powercap_mutex);
	has_cpus[package->index] = false;
	vanish(&states[package->index][PH_PACKAGE]);
	mutex_unlock(&powercap_mutex);
}

void powercap_package_online(struct ph_package *package)
{
	if (!control_type)
		return;
	mutex_lock(&powercap_mutex);
	has_cpus[package->index] = true;
	if (!states[package->index][PH_PACKAGE].zone)
		come_back(&states[package->index][PH_PACKAGE]);
	mutex_unlock(&powercap_mutex);
}

/* intel-rapl:P or intel-rapl:P:D, numbered as when the module was loaded: a zone that is gone can be named, too. */
static struct ph_zone_state *find_state(const char *name)
{
	unsigned int index;
	int domain;
	char own[24];

	for (index = 0; index < model.nr_packages; index++)
		for (domain = 0; domain < PH_DOMAINS; domain++) {
			if (!has_domain(domain))
				continue;
			if (domain == PH_PACKAGE)
				snprintf(own, sizeof(own), "intel-rapl:%x", index);
			else
				snprintf(own, sizeof(own), "intel-rapl:%x:%x", index, domain - 1);
			if (!strcmp(name, own))
				return &states[index][domain];
		}
	return NULL;
}

/* Without the mutex: whoever holds it may wait for a reader that is slow until this. */
static void clear_all(void)
{
	unsigned int index, domain;

	for (index = 0; index < model.nr_packages; index++)
		for (domain = 0; domain < PH_DOMAINS; domain++) {
			WRITE_ONCE(states[index][domain].eio, false);
			WRITE_ONCE(states[index][domain].slow_ms, 0);
			WRITE_ONCE(states[index][domain].stall_ms, 0);
		}
}

static int set_fault(const char *what, struct ph_zone_state *state)
{
	if (!strcmp(what, "vanish"))
		vanish(state);
	else if (!strcmp(what, "return"))
		return come_back(state);
	else if (!strcmp(what, "eio"))
		WRITE_ONCE(state->eio, true);
	else
		return -EINVAL;
	return 0;
}

static int set_fault_value(const char *what, struct ph_zone_state *state, u64 value)
{
	u64 wrap_uj = READ_ONCE(ph_wrap_uj);
	unsigned int *wait = !strcmp(what, "slow") ? &state->slow_ms : !strcmp(what, "stall") ? &state->stall_ms : NULL;

	if (!strcmp(what, "jump")) {
		if (value > wrap_uj)
			return -ERANGE;
		WRITE_ONCE(state->behind_uj, (state->behind_uj + value) % (wrap_uj + 1));
	} else if (wait) {
		if (value > LONGEST_WAIT_MS)
			return -ERANGE;
		WRITE_ONCE(*wait, value);
	} else {
		return -EINVAL;
	}
	return 0;
}

/* WHAT ZONE, or WHAT ZONE NUMBER */
static int apply_fault(char **words, int count)
{
	struct ph_zone_state *state = find_state(words[1]);
	u64 value;
	int error;

	if (!state)
		return -ENODEV;
	if (count == 2)
		return set_fault(words[0], state);
	error = kstrtou64(words[2], 10, &value);
	return error ?: set_fault_value(words[0], state, value);
}

int powercap_fault(char *line)
{
	char *words[3];
	int error, count = split_words(line, words, ARRAY_SIZE(words));
	bool clear = count == 1 && !strcmp(words[0], "clear");

	if (!control_type)
		return -ENODEV;
	if (count < 2 && !clear)
		return -EINVAL;
	if (clear)
		clear_all();
	mutex_lock(&powercap_mutex);
	error = clear ? come_back_all() : apply_fault(words, count);
	mutex_unlock(&powercap_mutex);
	return error;
}

int powercap_init(void)
{
	unsigned int index, domain;
	struct powercap_control_type *type;
	int error;

	for (index = 0; index < model.nr_packages; index++)
		for (domain = 0; domain < PH_DOMAINS; domain++) {
			states[index][domain].package = &model.packages[index];
			states[index][domain].domain = domain;
			constraints_init_state(&states[index][domain]);
		}
	type = powercap_register_control_type(NULL, "intel-rapl", NULL);
	if (IS_ERR_OR_NULL(type)) {
		pr_err("powercap: control type intel-rapl cannot be registered; is intel_rapl loaded?\n");
		return -EBUSY;
	}
	control_type = type;
	error = come_back_all();
	if (error)
		powercap_exit();
	return error;
}

void powercap_exit(void)
{
	unsigned int index;

	if (!control_type)
		return;
	clear_all();
	mutex_lock(&powercap_mutex);
	for (index = 0; index < model.nr_packages; index++)
		vanish(&states[index][PH_PACKAGE]);
	mutex_unlock(&powercap_mutex);
	wait_var_event(&registrations, !atomic_read(&registrations));
	powercap_unregister_control_type(control_type);
	control_type = NULL;
}
