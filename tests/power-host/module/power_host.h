/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine's power hardware, played: the energy of its CPUs, packages and memory by a model, and the truth
 * about who drew it.
 *
 * Locks, in the order they are taken:
 *   powercap_mutex	zones come and go (powercap.c); sleeps
 *   ph_core.lock	raw, one per core: all that its CPUs count; model_lock_all() takes every one, in order
 *   records_lock	raw: which records there are (records.c)
 * The two raw ones are taken inside the scheduler (sched_switch, the runqueue locked, interrupts off): nothing
 * that could allocate, print or wake is called under them.
 */
#ifndef POWER_HOST_H
#define POWER_HOST_H

#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#define PH_MAX_PACKAGES 8
#define PH_PERMILLE 1000

/*
 * Energy is kept in attojoules, nanowatts times nanoseconds: 128 bits hold more than can be drawn, and no slice of time
 * is lost to rounding.
 */
typedef unsigned __int128 ph_u128;
#define PH_AJ_PER_UJ 1000000000000ULL
#define PH_NW_PER_UW 1000ULL

struct ph_usage {
	ph_u128 energy_aj;
	ph_u128 dram_aj;
	u64 time_ns;
	u64 cycles;
};

/* What can be changed while running; debugfs names them by these names. */
struct ph_parameters {
	u64 static_uw;
	u64 busy_cpu_uw;
	u64 frequency_exponent_percent;
	u64 smt_percent;
	u64 dram_static_uw;
	u64 dram_busy_cpu_uw;
	u64 counters;
};

struct ph_process {
	pid_t pid;
	u64 start_ns;
	char comm[TASK_COMM_LEN];
	u32 class_percent;
	u32 live;	/* threads that have not exited */
	u32 threads;	/* records of them, ended ones too */
};

struct ph_thread {
	struct hlist_node link;
	struct ph_process *process;
	pid_t pid;
	u64 start_ns;
	char comm[TASK_COMM_LEN];
	bool ended;
	struct ph_usage usage[];	/* by package index */
};

enum ph_constraint_id { PH_LONG_TERM, PH_SHORT_TERM, PH_CONSTRAINTS };

struct ph_constraint {
	u64 limit_uw;
	u64 window_us;
	s64 average_uw;
};

struct ph_package {
	int id;		/* physical */
	int index;
	struct cpumask cpus;
	ph_u128 static_aj;
	ph_u128 dram_static_aj;
	u64 static_since_ns;
	ph_u128 static_base_aj;	/* what there was at the last reset */
	ph_u128 dram_static_base_aj;
	/* the limiter */
	struct ph_constraint constraints[PH_CONSTRAINTS];
	bool limit_enabled;
	u32 permille;	/* of the frequency that was asked for */
	u64 demand_uw;	/* dynamic power if nothing were limited */
	u64 stepped_at_ns;
	ph_u128 stepped_at_static_aj;
	ph_u128 stepped_at_dynamic_aj;
};

struct ph_core {
	raw_spinlock_t lock;
	u64 since_ns;	/* everything before is charged */
	struct cpumask cpus;
	bool leads;	/* the first CPU of a core holds it */
};

struct ph_cpu {
	struct ph_core own_core;
	struct ph_core *core;
	struct ph_package *package;
	struct ph_thread *running;	/* NULL: idle */
	u32 khz;	/* as asked for */
	u64 rate_hz;	/* as it runs */
	u64 power_q30;	/* share of busy_cpu_uw that it draws at this rate */
	struct ph_usage usage;	/* never goes back */
	struct ph_usage base;	/* what there was at the last reset */
	const struct task_struct *next;	/* of the last switch; compared alone */
	struct ph_usage at_switch;
};

struct ph_model {
	struct ph_parameters parameters;
	u32 base_khz;
	unsigned int nr_packages;
	struct ph_package packages[PH_MAX_PACKAGES];
	struct ph_cpu *cpus;	/* by number */
	struct cpumask covered;	/* the CPUs there were at load */
};

extern struct ph_model model;

/* module parameters; wrap_uj alone may change */
extern bool ph_powercap, ph_power_pmu, ph_cpu_pmu, ph_pstate, ph_amd, ph_locked;
extern unsigned long ph_wrap_uj;

/* model.c */
int model_init(void);
void model_exit(void);
u64 model_clock_ns(void);
unsigned long model_lock_all(u64 *now_ns);
void model_unlock_all(unsigned long flags);
void model_reset(void);
void model_switch(unsigned int cpu, struct task_struct *prev, struct task_struct *next);
void model_cpu_gone(unsigned int cpu);
void model_read_cpu(unsigned int cpu, struct ph_usage *usage);
struct ph_usage model_package_dynamic(const struct ph_package *package);
void model_set_khz(const struct cpumask *cpus, u32 khz);
void model_update_rates(struct ph_package *package);
void model_parameters_changed(void);

static inline struct ph_cpu *model_cpu(unsigned int cpu)
{
	return cpumask_test_cpu(cpu, &model.covered) ? &model.cpus[cpu] : NULL;
}

/* What the energy counters count. */
enum ph_domain { PH_PACKAGE, PH_CORE, PH_DRAM, PH_DOMAINS };
u64 model_energy_units(struct ph_package *package, enum ph_domain domain);
u64 units_to_uj(u64 units);
#define PH_UNITS_PER_J_SHIFT 14	/* as RAPL: 1 / 2^14 J, 61 uJ */
#define PH_AJ_PER_UNIT (1000000000000000000ULL >> PH_UNITS_PER_J_SHIFT)	/* without a remainder */

/* The kernel links none of the compiler's. U64_MAX, and no exception, where the quotient does not fit. */
static inline u64 div_u128(ph_u128 dividend, u64 divisor)
{
	u64 low = dividend, high = dividend >> 64;

	if (high >= divisor)
		return U64_MAX;
	asm("divq %[divisor]" : "+a" (low), "+d" (high) : [divisor] "r" (divisor) : "cc");
	return low;
}

/* power_of_frequency.c */
#define PH_Q30 (1ULL << 30)
u64 pow_q30(u64 ratio_q30, u64 exponent_percent);

/* records.c */
extern raw_spinlock_t records_lock;
extern u64 records_lost;
extern struct ph_thread *records_unrecorded;
extern struct ph_process *records_processes;
extern unsigned int records_nr_processes, records_nr_threads;
int records_init(void);
void records_exit(void);
struct ph_thread *records_thread(unsigned int index);
size_t records_thread_size(void);
struct ph_thread *records_of(struct task_struct *task);
void records_note_comm(struct ph_thread *thread, struct task_struct *task);
void records_forked(struct task_struct *parent, struct task_struct *child);
void records_exited(struct task_struct *task);
void records_reset(void);

/* probes.c */
int probes_init(void);
void probes_exit(void);

/* limiter.c */
void limiter_init(void);
void limiter_exit(void);
void limiter_changed(void);
#define PH_LIMIT_DEFAULT_UW 125000000ULL
#define PH_LIMIT_SHORT_DEFAULT_UW 150000000ULL

/* powercap.c */
int powercap_init(void);
void powercap_exit(void);
int powercap_fault(char *line);
void powercap_package_offline(struct ph_package *package);
void powercap_package_online(struct ph_package *package);

/* power_pmu.c, cpu_pmu.c, pstate.c */
int power_pmu_init(void);
void power_pmu_exit(void);
void power_pmu_cpu_offline(unsigned int cpu);
void power_pmu_cpu_online(unsigned int cpu);
int cpu_pmu_init(void);
void cpu_pmu_exit(void);
int pstate_init(void);
void pstate_exit(void);

/* truth.c, debugfs.c */
extern const struct file_operations truth_fops;
int controls_check(void);
int split_words(char *line, char **words, int room);
int debugfs_init(void);
void debugfs_exit(void);

#endif
