// SPDX-License-Identifier: GPL-2.0-only
/* r^(x/100) in fixed point: the power of a CPU at a share of its full rate, and back. */
#include <linux/kernel.h>
#include <linux/math64.h>

#include "power_host.h"

static u64 times_q30(u64 a, u64 b)
{
	return mul_u64_u64_shr(a, b, 30);
}

/* The exponent's fraction, bit by bit: each bit stands for one more square root. */
static u64 pow_fraction_q30(u64 ratio, u32 fraction_q16)
{
	u64 result = PH_Q30;
	u64 root = ratio;
	int bit;

	for (bit = 15; bit >= 0; bit--) {
		root = int_sqrt64(root << 30);
		if (fraction_q16 & BIT(bit))
			result = times_q30(result, root);
	}
	return result;
}

u64 pow_q30(u64 ratio_q30, u64 exponent_percent)
{
	u64 result = PH_Q30;
	u64 whole;

	for (whole = exponent_percent / 100; whole; whole--)
		result = times_q30(result, ratio_q30);
	if (exponent_percent % 100)
		result = times_q30(result, pow_fraction_q30(ratio_q30, (exponent_percent % 100 << 16) / 100));
	return result;
}
