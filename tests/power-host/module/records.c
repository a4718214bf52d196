// SPDX-License-Identifier: GPL-2.0-only
/*
 * One record per thread that ran, one per process. They are taken inside the scheduler, so all of them are allocated
 * when the module is loaded; what comes when none is left is charged to one record that says so, and counted.
 * A record stays, also when its thread has ended, until a reset.
 */
#include <linux/hashtable.h>
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

#include "power_host.h"

#define MAX_THREADS 32768
#define MAX_PROCESSES 16384

DEFINE_RAW_SPINLOCK(records_lock);
u64 records_lost;
struct ph_thread *records_unrecorded;
struct ph_process *records_processes;
unsigned int records_nr_processes, records_nr_threads;	/* the highest that was ever used */

static DEFINE_HASHTABLE(threads_by_pid, 12);
static void *threads;
static unsigned int *free_threads, *free_processes;
static unsigned int nr_free_threads, nr_free_processes;

size_t records_thread_size(void)
{
	return sizeof(struct ph_thread) + model.nr_packages * sizeof(struct ph_usage);
}

struct ph_thread *records_thread(unsigned int index)
{
	return threads + index * records_thread_size();
}

static struct ph_process *new_process(void)
{
	if (nr_free_processes)
		return &records_processes[free_processes[--nr_free_processes]];
	if (records_nr_processes == MAX_PROCESSES)
		return NULL;
	return &records_processes[records_nr_processes++];
}

static struct ph_thread *new_thread(void)
{
	if (nr_free_threads)
		return records_thread(free_threads[--nr_free_threads]);
	if (records_nr_threads == MAX_THREADS)
		return NULL;
	return records_thread(records_nr_threads++);
}

static struct ph_thread *find_thread(pid_t pid, u64 start_ns)
{
	struct ph_thread *thread;

	hash_for_each_possible(threads_by_pid, thread, link, pid)
		if (thread->pid == pid && thread->start_ns == start_ns)
			return thread;
	return NULL;
}

static struct ph_thread *find_or_create(struct task_struct *task);

/* A process has its leader's record from the first, whether the leader or another thread ran first. */
static struct ph_process *process_of(struct task_struct *task)
{
	struct ph_process *process;

	/* What is already released may not be asked for its leader. */
	if (pid_alive(task) && task->group_leader != task)
		return find_or_create(task->group_leader)->process;
	process = new_process();
	if (!process)
		return NULL;
	memset(process, 0, sizeof(*process));
	process->pid = task->tgid;
	process->start_ns = task->start_boottime;
	process->class_percent = 100;
	return process;
}

static struct ph_thread *create_thread(struct task_struct *task)
{
	struct ph_process *process = process_of(task);
	struct ph_thread *thread = process ? new_thread() : NULL;

	if (!thread) {
		if (process && !process->threads)
			free_processes[nr_free_processes++] = process - records_processes;
		records_lost++;
		return records_unrecorded;
	}
	memset(thread, 0, records_thread_size());
	thread->pid = task->pid;
	thread->start_ns = task->start_boottime;
	thread->process = process;
	process->threads++;
	thread->ended = task->exit_state != 0;
	process->live += !thread->ended;
	records_note_comm(thread, task);
	hash_add(threads_by_pid, &thread->link, thread->pid);
	return thread;
}

static struct ph_thread *find_or_create(struct task_struct *task)
{
	struct ph_thread *thread = find_thread(task->pid, task->start_boottime);

	if (!thread)
		return create_thread(task);
	/* A thread that calls exec takes the place of its leader, which has just exited. */
	if (thread->ended && !(task->flags & PF_EXITING)) {
		thread->ended = false;
		thread->process->live++;
	}
	return thread;
}

struct ph_thread *records_of(struct task_struct *task)
{
	struct ph_thread *thread;
	unsigned long flags;

	raw_spin_lock_irqsave(&records_lock, flags);
	thread = find_or_create(task);
	raw_spin_unlock_irqrestore(&records_lock, flags);
	return thread;
}

void records_note_comm(struct ph_thread *thread, struct task_struct *task)
{
	if (thread == records_unrecorded)
		return;
	memcpy(thread->comm, task->comm, TASK_COMM_LEN - 1);
	if (thread->pid == thread->process->pid)
		memcpy(thread->process->comm, thread->comm, TASK_COMM_LEN);
}

void records_forked(struct task_struct *parent, struct task_struct *child)
{
	struct ph_thread *from, *to;
	unsigned long flags;

	raw_spin_lock_irqsave(&records_lock, flags);
	from = find_or_create(parent);
	to = find_or_create(child);
	if (to->process != from->process && to != records_unrecorded)
		WRITE_ONCE(to->process->class_percent, from->process->class_percent);
	raw_spin_unlock_irqrestore(&records_lock, flags);
}

void records_exited(struct task_struct *task)
{
	struct ph_thread *thread;
	unsigned long flags;

	raw_spin_lock_irqsave(&records_lock, flags);
	thread = find_thread(task->pid, task->start_boottime);
	if (thread && !thread->ended) {
		thread->ended = true;
		thread->process->live--;
	}
	raw_spin_unlock_irqrestore(&records_lock, flags);
}

static bool runs_now(const struct ph_thread *thread)
{
	unsigned int cpu;

	for_each_cpu(cpu, &model.covered)
		if (model.cpus[cpu].running == thread)
			return true;
	return false;
}

/* As long as a thread of its process is there, which may start another: that one asks for its leader's record. */
static bool leads_others(const struct ph_thread *thread)
{
	return thread->pid == thread->process->pid && thread->process->live;
}

/* All of the model's locks are held. */
void records_reset(void)
{
	size_t usage_size = model.nr_packages * sizeof(struct ph_usage);
	unsigned int index;

	raw_spin_lock(&records_lock);
	for (index = 0; index < records_nr_threads; index++) {
		struct ph_thread *thread = records_thread(index);

		if (!thread->process)
			continue;
		memset(thread->usage, 0, usage_size);
		if (!thread->ended || runs_now(thread) || leads_others(thread))
			continue;
		hash_del(&thread->link);
		if (--thread->process->threads == 0)
			free_processes[nr_free_processes++] = thread->process - records_processes;
		thread->process = NULL;
		free_threads[nr_free_threads++] = index;
	}
	memset(records_unrecorded->usage, 0, usage_size);
	records_lost = 0;
	raw_spin_unlock(&records_lock);
}

int records_init(void)
{
	static struct ph_process unrecorded_process = {.class_percent = 100, .comm = "(unrecorded)", .threads = 1, .live = 1};

	threads = vzalloc((MAX_THREADS + 1) * records_thread_size());
	records_processes = vzalloc(MAX_PROCESSES * sizeof(*records_processes));
	free_threads = vzalloc(MAX_THREADS * sizeof(*free_threads));
	free_processes = vzalloc(MAX_PROCESSES * sizeof(*free_processes));
	if (!threads || !records_processes || !free_threads || !free_processes) {
		records_exit();
		return -ENOMEM;
	}
	records_unrecorded = records_thread(MAX_THREADS);
	records_unrecorded->process = &unrecorded_process;
	memcpy(records_unrecorded->comm, unrecorded_process.comm, TASK_COMM_LEN);
	return 0;
}

void records_exit(void)
{
	vfree(threads);
	vfree(records_processes);
	vfree(free_threads);
	vfree(free_processes);
}
