// SPDX-License-Identifier: GPL-2.0-only
/*
 * The power limiter. At every step the package's power of the last step goes into an average over each constraint's
 * time window; what may be drawn in the next step is the limit, and more as long as the average is below it, or less
 * when it is above. The frequency that gives this power follows from what the package drew in the last step.
 */
#include <linux/hrtimer.h>
#include <linux/math64.h>

#include "power_host.h"

#define STEP_NS (5 * NSEC_PER_MSEC)
#define MIN_PERMILLE 50
#define MAX_GAIN 4

static struct hrtimer timer;

static bool binds(const struct ph_package *package)
{
	const struct ph_constraint *constraints = package->constraints;

	return (package->limit_enabled && constraints[PH_LONG_TERM].limit_uw < PH_LIMIT_DEFAULT_UW) ||
	       constraints[PH_SHORT_TERM].limit_uw < PH_LIMIT_SHORT_DEFAULT_UW;
}

/* Keeps the average, and says what may be drawn next. */
static u64 allowed_uw(struct ph_constraint *constraint, u64 power_uw, u64 step_ns)
{
	u64 window_ns = max(constraint->window_us * NSEC_PER_USEC, step_ns);
	s64 limit_uw = constraint->limit_uw;
	/* The step's weight in the average; and a gain that cannot overshoot with it: at most 1 / weight - 1. */
	s64 weight_q20 = max(div64_u64(step_ns << 20, window_ns), 1ULL);
	s64 gain_q10 = min_t(s64, MAX_GAIN << 10, (1 << 30) / weight_q20 - (1 << 10));
	s64 allowed;

	constraint->average_uw += ((__int128)((s64)power_uw - constraint->average_uw) * weight_q20) >> 20;
	allowed = limit_uw + (((limit_uw - constraint->average_uw) * gain_q10) >> 10);
	return allowed > 0 ? allowed : 0;
}

static u32 permille_for(struct ph_package *package, u64 dynamic_uw)
{
	u64 exponent = model.parameters.frequency_exponent_percent;
	u64 ratio;

	if (dynamic_uw >= package->demand_uw || !exponent)
		return PH_PERMILLE;
	ratio = pow_q30(div_u128((ph_u128)dynamic_uw << 30, package->demand_uw), 10000 / exponent);
	return max_t(u32, MIN_PERMILLE, ratio * PH_PERMILLE >> 30);
}

static void step(struct ph_package *package, u64 now)
{
	ph_u128 dynamic_aj = model_package_dynamic(package).energy_aj;
	u64 elapsed;
	u64 static_uw, dynamic_uw, share, allowed, next;
	u32 permille;

	/* As in charge_core(). */
	if (now <= package->stepped_at_ns)
		return;
	elapsed = now - package->stepped_at_ns;
	static_uw = div_u128(package->static_aj - package->stepped_at_static_aj, elapsed * PH_NW_PER_UW);
	dynamic_uw = div_u128(dynamic_aj - package->stepped_at_dynamic_aj, elapsed * PH_NW_PER_UW);
	package->stepped_at_ns = now;
	package->stepped_at_static_aj = package->static_aj;
	package->stepped_at_dynamic_aj = dynamic_aj;

	share = pow_q30((u64)package->permille * PH_Q30 / PH_PERMILLE, model.parameters.frequency_exponent_percent);
	package->demand_uw = package->demand_uw / 2 + div_u128((ph_u128)dynamic_uw << 30, max(share, 1ULL)) / 2;

	allowed = allowed_uw(&package->constraints[PH_SHORT_TERM], static_uw + dynamic_uw, elapsed);
	next = allowed_uw(&package->constraints[PH_LONG_TERM], static_uw + dynamic_uw, elapsed);
	if (package->limit_enabled)
		allowed = min(allowed, next);
	permille = permille_for(package, allowed > static_uw ? allowed - static_uw : 0);
	if (permille != package->permille) {
		package->permille = permille;
		model_update_rates(package);
	}
}

static void begin(struct ph_package *package, u64 now)
{
	package->stepped_at_ns = now;
	package->stepped_at_static_aj = package->static_aj;
	package->stepped_at_dynamic_aj = model_package_dynamic(package).energy_aj;
}

static enum hrtimer_restart on_timer(struct hrtimer *unused)
{
	unsigned int index;
	bool goes_on = false;
	u64 now;
	unsigned long flags = model_lock_all(&now);

	for (index = 0; index < model.nr_packages; index++) {
		struct ph_package *package = &model.packages[index];

		step(package, now);
		goes_on |= binds(package) || package->permille != PH_PERMILLE;
	}
	model_unlock_all(flags);
	hrtimer_forward_now(&timer, ns_to_ktime(STEP_NS));
	return goes_on ? HRTIMER_RESTART : HRTIMER_NORESTART;
}

/* A constraint was set: the limiter runs as long as one can be reached. */
void limiter_changed(void)
{
	unsigned int index;
	u64 now;
	unsigned long flags;

	hrtimer_cancel(&timer);
	flags = model_lock_all(&now);
	for (index = 0; index < model.nr_packages; index++)
		begin(&model.packages[index], now);
	model_unlock_all(flags);
	hrtimer_start(&timer, ns_to_ktime(STEP_NS), HRTIMER_MODE_REL);
}

void limiter_init(void)
{
	unsigned int index;

	hrtimer_init(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	timer.function = on_timer;
	for (index = 0; index < model.nr_packages; index++) {
		struct ph_package *package = &model.packages[index];

		package->limit_enabled = true;
		package->constraints[PH_LONG_TERM] = (struct ph_constraint){ PH_LIMIT_DEFAULT_UW, 999424 };
		package->constraints[PH_SHORT_TERM] = (struct ph_constraint){ PH_LIMIT_SHORT_DEFAULT_UW, 2440 };
	}
}

void limiter_exit(void)
{
	hrtimer_cancel(&timer);
}
