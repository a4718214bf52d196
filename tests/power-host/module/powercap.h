/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef POWER_HOST_POWERCAP_H
#define POWER_HOST_POWERCAP_H

#include <linux/powercap.h>

#include "power_host.h"

/* What a domain is and what was done to it; it outlives the zone that shows it. */
struct ph_zone_state {
	struct ph_package *package;
	enum ph_domain domain;
	struct ph_zone *zone;	/* NULL: not registered */
	bool eio;
	u64 behind_uj;	/* by how much the counter jumped back */
	unsigned int slow_ms;	/* its counter */
	unsigned int stall_ms;	/* its power limits */
	/* subzones keep what is set, and do nothing */
	struct ph_constraint own;
	bool own_enabled;
};

/* One registration of a zone: the powercap core uses it until it calls release. */
struct ph_zone {
	struct powercap_zone powercap;
	struct ph_zone_state *state;
};

static inline struct ph_zone_state *zone_state(struct powercap_zone *zone)
{
	return container_of(zone, struct ph_zone, powercap)->state;
}

int powercap_wait(const unsigned int *ms);
extern const struct powercap_zone_constraint_ops constraint_ops;
int constraints_set_enable(struct powercap_zone *zone, bool enable);
int constraints_get_enable(struct powercap_zone *zone, bool *enable);
void constraints_init_state(struct ph_zone_state *state);

#endif
