// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file `truth`: who drew what, all of one instant, so that its rows agree with each other: that at which it was
 * opened, or, where it is read from its start once more, that of the reading.
 */
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "power_host.h"

#define LINE_BYTES 256
#define SLACK_RECORDS 64	/* that may come between counting and copying */

struct snapshot {
	u64 time_ns;
	u64 lost;
	struct ph_package *packages;
	struct ph_usage *package_usage;	/* of all its CPUs */
	struct ph_cpu *cpus;
	struct ph_process *processes;
	struct ph_usage *process_usage;	/* by process and package */
	void *threads;
	unsigned int max_processes, max_threads, nr_processes, nr_threads;
	struct ph_thread *unrecorded;
};

struct text {
	struct mutex lock;
	struct snapshot snapshot;
	bool taken;	/* and not written yet */
	char *bytes;
	size_t size, room;
};

static u64 uj(ph_u128 aj)
{
	return div_u128(aj, PH_AJ_PER_UJ);
}

static void snapshot_free(struct snapshot *s)
{
	kvfree(s->packages);
	kvfree(s->package_usage);
	kvfree(s->cpus);
	kvfree(s->processes);
	kvfree(s->process_usage);
	kvfree(s->threads);
}

static int snapshot_allocate(struct snapshot *s)
{
	s->max_processes = READ_ONCE(records_nr_processes) + SLACK_RECORDS;
	s->max_threads = READ_ONCE(records_nr_threads) + SLACK_RECORDS;
	s->packages = kvcalloc(PH_MAX_PACKAGES, sizeof(*s->packages), GFP_KERNEL);
	s->package_usage = kvcalloc(PH_MAX_PACKAGES, sizeof(*s->package_usage), GFP_KERNEL);
	s->cpus = kvcalloc(nr_cpu_ids, sizeof(*s->cpus), GFP_KERNEL);
	s->processes = kvcalloc(s->max_processes, sizeof(*s->processes), GFP_KERNEL);
	s->process_usage = kvcalloc((s->max_processes + 1) * model.nr_packages, sizeof(*s->process_usage), GFP_KERNEL);
	s->threads = kvzalloc((s->max_threads + 1) * records_thread_size(), GFP_KERNEL);
	if (s->packages && s->package_usage && s->cpus && s->processes && s->process_usage && s->threads)
		return 0;
	snapshot_free(s);
	return -ENOMEM;
}

/* False if there are more records by now than there was room for. */
static bool snapshot_copy(struct snapshot *s)
{
	unsigned long flags = model_lock_all(&s->time_ns);
	unsigned int index;
	bool fits;

	raw_spin_lock(&records_lock);
	s->nr_processes = records_nr_processes;
	s->nr_threads = records_nr_threads;
	s->lost = records_lost;
	fits = s->nr_processes <= s->max_processes && s->nr_threads <= s->max_threads;
	if (fits) {
		memcpy(s->packages, model.packages, sizeof(model.packages));
		memcpy(s->cpus, model.cpus, nr_cpu_ids * sizeof(*s->cpus));
		memcpy(s->processes, records_processes, s->nr_processes * sizeof(*s->processes));
		memcpy(s->threads, records_thread(0), s->nr_threads * records_thread_size());
		s->unrecorded = s->threads + s->nr_threads * records_thread_size();
		memcpy(s->unrecorded, records_unrecorded, records_thread_size());
		for (index = 0; index < model.nr_packages; index++)
			s->package_usage[index] = model_package_dynamic(&model.packages[index]);
	}
	raw_spin_unlock(&records_lock);
	model_unlock_all(flags);
	return fits;
}

static void add_line(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text->size += vscnprintf(text->bytes + text->size, text->room - text->size, format, arguments);
	va_end(arguments);
}

/* A name is one word: what would end it is shown as `_`. */
static const char *word(char *name)
{
	char *c;

	for (c = name; *c; c++)
		if (!isgraph(*c) || *c == '=')
			*c = '_';
	return *name ? name : "_";
}

static void add_usage_line(struct text *text, const struct ph_usage *usage)
{
	add_line(text, " energy_uj=%llu dram_uj=%llu time_ns=%llu cycles=%llu", uj(usage->energy_aj), uj(usage->dram_aj),
		 usage->time_ns, usage->cycles);
}

static void subtract(struct ph_usage *usage, const struct ph_usage *base)
{
	usage->energy_aj -= base->energy_aj;
	usage->dram_aj -= base->dram_aj;
	usage->time_ns -= base->time_ns;
	usage->cycles -= base->cycles;
}

static void add_packages(struct text *text, struct snapshot *s)
{
	unsigned int index, number;

	for (index = 0; index < model.nr_packages; index++) {
		struct ph_package *package = &s->packages[index];
		struct ph_usage dynamic = s->package_usage[index];

		for_each_cpu(number, &package->cpus)
			subtract(&dynamic, &s->cpus[number].base);
		add_line(text, "package %d static_uj=%llu dynamic_uj=%llu dram_static_uj=%llu dram_dynamic_uj=%llu",
			 package->id, uj(package->static_aj - package->static_base_aj), uj(dynamic.energy_aj),
			 uj(package->dram_static_aj - package->dram_static_base_aj), uj(dynamic.dram_aj));
		add_line(text, " cores_dynamic_uj=%llu time_ns=%llu cycles=%llu permille=%u\n", uj(dynamic.energy_aj),
			 dynamic.time_ns, dynamic.cycles, package->permille);
	}
}

static void add_cpus(struct text *text, struct snapshot *s)
{
	unsigned int number;

	for_each_cpu(number, &model.covered) {
		struct ph_cpu *cpu = &s->cpus[number];
		struct ph_usage usage = cpu->usage;

		subtract(&usage, &cpu->base);
		add_line(text, "cpu %u package=%d", number, cpu->package->id);
		add_usage_line(text, &usage);
		add_line(text, " khz=%llu\n", div_u64(cpu->rate_hz, 1000));
	}
}

static struct ph_thread *thread_at(struct snapshot *s, unsigned int index)
{
	return s->threads + index * records_thread_size();
}

static bool is_empty(const struct ph_usage *usage)
{
	return !usage->time_ns;
}

static unsigned int process_index(struct snapshot *s, const struct ph_thread *thread)
{
	return thread->process == s->unrecorded->process ? s->nr_processes : thread->process - records_processes;
}

static void add_threads(struct text *text, struct snapshot *s)
{
	unsigned int index, package;

	for (index = 0; index <= s->nr_threads; index++) {
		struct ph_thread *thread = thread_at(s, index);
		struct ph_usage *sums;

		if (!thread->process)
			continue;
		sums = &s->process_usage[process_index(s, thread) * model.nr_packages];
		for (package = 0; package < model.nr_packages; package++) {
			struct ph_usage *usage = &thread->usage[package];

			if (is_empty(usage))
				continue;
			sums[package].energy_aj += usage->energy_aj;
			sums[package].dram_aj += usage->dram_aj;
			sums[package].time_ns += usage->time_ns;
			sums[package].cycles += usage->cycles;
			add_line(text, "thread %d %d comm=%s package=%d",
				 thread == s->unrecorded ? 0 : s->processes[process_index(s, thread)].pid, thread->pid,
				 word(thread->comm), s->packages[package].id);
			add_usage_line(text, usage);
			add_line(text, "%s\n", thread->ended ? " ended=1" : "");
		}
	}
}

static void add_process(struct text *text, struct snapshot *s, struct ph_process *process,
			const struct ph_usage *usages)
{
	unsigned int package;

	for (package = 0; package < model.nr_packages; package++) {
		if (is_empty(&usages[package]))
			continue;
		add_line(text, "process %d start_ns=%llu comm=%s class=%u package=%d", process->pid, process->start_ns,
			 word(process->comm), process->class_percent, s->packages[package].id);
		add_usage_line(text, &usages[package]);
		add_line(text, "%s\n", process->live ? "" : " ended=1");
	}
}

static void add_processes(struct text *text, struct snapshot *s)
{
	struct ph_process unrecorded = *s->unrecorded->process;
	unsigned int index;

	for (index = 0; index < s->nr_processes; index++)
		if (s->processes[index].threads)
			add_process(text, s, &s->processes[index], &s->process_usage[index * model.nr_packages]);
	add_process(text, s, &unrecorded, &s->process_usage[s->nr_processes * model.nr_packages]);
}

static int take(struct text *text)
{
	int error;

	for (;;) {
		error = snapshot_allocate(&text->snapshot);
		if (error)
			return error;
		if (snapshot_copy(&text->snapshot))
			break;
		snapshot_free(&text->snapshot);
	}
	text->taken = true;
	return 0;
}

static void drop(struct text *text)
{
	if (text->taken)
		snapshot_free(&text->snapshot);
	text->taken = false;
}

static int write_text(struct text *text)
{
	struct snapshot *s = &text->snapshot;
	unsigned int rows;
	int error;

	if (!text->taken) {
		error = take(text);
		if (error)
			return error;
	}
	rows = 1 + PH_MAX_PACKAGES + nr_cpu_ids + (s->nr_processes + s->nr_threads + 2) * model.nr_packages;
	kvfree(text->bytes);
	text->size = 0;
	text->room = rows * LINE_BYTES;
	text->bytes = kvmalloc(text->room, GFP_KERNEL);
	if (text->bytes) {
		add_line(text, "time %llu lost_records=%llu\n", s->time_ns, s->lost);
		add_packages(text, s);
		add_cpus(text, s);
		add_threads(text, s);
		add_processes(text, s);
	}
	drop(text);
	return text->bytes ? 0 : -ENOMEM;
}

static int truth_open(struct inode *inode, struct file *file)
{
	struct text *text = kzalloc(sizeof(*text), GFP_KERNEL);
	int error;

	if (!text)
		return -ENOMEM;
	mutex_init(&text->lock);
	error = take(text);
	if (error) {
		kfree(text);
		return error;
	}
	file->private_data = text;
	return 0;
}

static ssize_t truth_read(struct file *file, char __user *to, size_t size, loff_t *position)
{
	struct text *text = file->private_data;
	ssize_t result;

	mutex_lock(&text->lock);
	result = *position == 0 ? write_text(text) : 0;
	if (!result)
		result = simple_read_from_buffer(to, size, position, text->bytes, text->size);
	mutex_unlock(&text->lock);
	return result;
}

static int truth_release(struct inode *inode, struct file *file)
{
	struct text *text = file->private_data;

	drop(text);
	kvfree(text->bytes);
	kfree(text);
	return 0;
}

const struct file_operations truth_fops = {
	.owner = THIS_MODULE,
	.open = truth_open,
	.read = truth_read,
	.llseek = default_llseek,
	.release = truth_release,
};
