// SPDX-License-Identifier: GPL-2.0-only
/* Power limits and time windows, kept in the hardware's steps: what is read back is not what was written. */
#include <linux/log2.h>
#include <linux/math64.h>

#include "powercap.h"

#define POWER_UNIT_UW 125000	/* 1/8 W */
#define POWER_MASK 0x7fff
#define TIME_UNIT_US 976
#define TIME_EXPONENT_MAX 31

/* A package has two constraints that its limiter obeys; a subzone has one, of its own. */
static struct ph_constraint *constraint_of(struct ph_zone_state *state, int id)
{
	return state->domain == PH_PACKAGE ? &state->package->constraints[id] : &state->own;
}

/* A window is (1 + f/4) * 2^y units, with two bits for f. */
static u64 quantised_window(u64 us)
{
	u64 units = div_u64(us, TIME_UNIT_US);
	unsigned int exponent, quarters;

	if (!units)
		return TIME_UNIT_US;
	exponent = min_t(unsigned int, ilog2(units), TIME_EXPONENT_MAX);
	quarters = min_t(u64, (units - (1ULL << exponent)) * 4 >> exponent, 3);
	return (1ULL << exponent) * (4 + quarters) * TIME_UNIT_US / 4;
}

static void changed(const struct ph_zone_state *state)
{
	if (state->domain == PH_PACKAGE)
		limiter_changed();
}

static int set_limit(struct powercap_zone *zone, int id, u64 uw)
{
	struct ph_zone_state *state = zone_state(zone);
	int error = powercap_wait(&state->stall_ms);

	if (error)
		return error;
	if (ph_locked)
		return -EACCES;
	WRITE_ONCE(constraint_of(state, id)->limit_uw, (div_u64(uw, POWER_UNIT_UW) & POWER_MASK) * POWER_UNIT_UW);
	changed(state);
	return 0;
}

static int get_limit(struct powercap_zone *zone, int id, u64 *uw)
{
	struct ph_zone_state *state = zone_state(zone);
	int error = powercap_wait(&state->stall_ms);

	if (!error)
		*uw = READ_ONCE(constraint_of(state, id)->limit_uw);
	return error;
}

static int set_window(struct powercap_zone *zone, int id, u64 us)
{
	struct ph_zone_state *state = zone_state(zone);

	if (ph_locked)
		return -EACCES;
	WRITE_ONCE(constraint_of(state, id)->window_us, quantised_window(us));
	changed(state);
	return 0;
}

static int get_window(struct powercap_zone *zone, int id, u64 *us)
{
	*us = READ_ONCE(constraint_of(zone_state(zone), id)->window_us);
	return 0;
}

static int get_max_power(struct powercap_zone *zone, int id, u64 *uw)
{
	*uw = id == PH_LONG_TERM ? PH_LIMIT_DEFAULT_UW : PH_LIMIT_SHORT_DEFAULT_UW;
	return 0;
}

static const char *get_name(struct powercap_zone *zone, int id)
{
	return id == PH_LONG_TERM ? "long_term" : "short_term";
}

const struct powercap_zone_constraint_ops constraint_ops = {
	.set_power_limit_uw = set_limit,
	.get_power_limit_uw = get_limit,
	.set_time_window_us = set_window,
	.get_time_window_us = get_window,
	.get_max_power_uw = get_max_power,
	.get_name = get_name,
};

static bool *enabled_of(struct ph_zone_state *state)
{
	return state->domain == PH_PACKAGE ? &state->package->limit_enabled : &state->own_enabled;
}

int constraints_set_enable(struct powercap_zone *zone, bool enable)
{
	struct ph_zone_state *state = zone_state(zone);

	if (ph_locked)
		return -EACCES;
	WRITE_ONCE(*enabled_of(state), enable);
	changed(state);
	return 0;
}

int constraints_get_enable(struct powercap_zone *zone, bool *enable)
{
	*enable = !ph_locked && READ_ONCE(*enabled_of(zone_state(zone)));
	return 0;
}

void constraints_init_state(struct ph_zone_state *state)
{
	state->own.window_us = TIME_UNIT_US;
}
