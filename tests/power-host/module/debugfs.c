// SPDX-License-Identifier: GPL-2.0-only
/* /sys/kernel/debug/power_host: the model's parameters, the processes' classes, the faults; truth.c is beside it. */
#define pr_fmt(format) KBUILD_MODNAME ": " format

#include <linux/debugfs.h>
#include <linux/pid.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "power_host.h"

#define INPUT_BYTES 128
#define HIGHEST_CLASS_PERCENT 10000

static struct dentry *directory;

/* README.md tells what the model can keep exactly within these ranges. */
static const struct control {
	const char *name;
	u64 *value;
	u64 lowest, highest;
} controls[] = {
	{ "static_uw", &model.parameters.static_uw, 0, 1000000000 },
	{ "busy_cpu_uw", &model.parameters.busy_cpu_uw, 0, 1000000000 },
	{ "frequency_exponent_percent", &model.parameters.frequency_exponent_percent, 0, 500 },
	{ "smt_percent", &model.parameters.smt_percent, 0, 200 },
	{ "dram_static_uw", &model.parameters.dram_static_uw, 0, 1000000000 },
	{ "dram_busy_cpu_uw", &model.parameters.dram_busy_cpu_uw, 0, 1000000000 },
	{ "counters", &model.parameters.counters, 0, 64 },
};

static int take_input(char *line, const char __user *from, size_t size)
{
	if (size >= INPUT_BYTES)
		return -E2BIG;
	if (copy_from_user(line, from, size))
		return -EFAULT;
	if (memchr(line, 0, size))
		return -EINVAL;
	line[size] = 0;
	return 0;
}

/* How many words the line has; -EINVAL if there is no room for all of them. */
int split_words(char *line, char **words, int room)
{
	char *word;
	int count = 0;

	while ((word = strsep(&line, " \t\n"))) {
		if (!*word)
			continue;
		if (count == room)
			return -EINVAL;
		words[count++] = word;
	}
	return count;
}

static bool is_allowed(const struct control *control, u64 value)
{
	return value >= control->lowest && value <= control->highest;
}

/* What the module was loaded with. */
int controls_check(void)
{
	unsigned int index;

	for (index = 0; index < ARRAY_SIZE(controls); index++) {
		const struct control *control = &controls[index];

		if (is_allowed(control, *control->value))
			continue;
		pr_err("%s=%llu: must be %llu to %llu\n", control->name, *control->value, control->lowest, control->highest);
		return -ERANGE;
	}
	return 0;
}

static int set_control(char *line)
{
	char *name = strim(line), *value = strchr(name, '=');
	unsigned long flags;
	unsigned int index;
	u64 number;
	int error;

	if (!strcmp(name, "reset")) {
		model_reset();
		return 0;
	}
	if (!value)
		return -EINVAL;
	*value++ = 0;
	error = kstrtou64(value, 10, &number);
	if (error)
		return error;
	for (index = 0; index < ARRAY_SIZE(controls); index++) {
		if (strcmp(name, controls[index].name))
			continue;
		if (!is_allowed(&controls[index], number))
			return -ERANGE;
		flags = model_lock_all(NULL);
		*controls[index].value = number;
		model_parameters_changed();
		model_unlock_all(flags);
		return 0;
	}
	return -EINVAL;
}

static ssize_t control_write(struct file *file, const char __user *from, size_t size, loff_t *position)
{
	char line[INPUT_BYTES];
	int error = take_input(line, from, size);

	if (!error)
		error = set_control(line);
	return error ?: size;
}

static int control_show(struct seq_file *file, void *unused)
{
	unsigned int index;

	for (index = 0; index < ARRAY_SIZE(controls); index++)
		seq_printf(file, "%s=%llu\n", controls[index].name, *controls[index].value);
	return 0;
}

static int control_open(struct inode *inode, struct file *file)
{
	return single_open(file, control_show, NULL);
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.open = control_open,
	.read = seq_read,
	.write = control_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int set_class(char *line)
{
	struct task_struct *task;
	struct ph_thread *thread;
	unsigned int percent;
	struct pid *id;
	unsigned long flags;
	char *words[2];
	int pid, error;

	if (split_words(line, words, ARRAY_SIZE(words)) != ARRAY_SIZE(words))
		return -EINVAL;
	error = kstrtoint(words[0], 10, &pid) ?: kstrtouint(words[1], 10, &percent);
	if (error)
		return error;
	if (percent > HIGHEST_CLASS_PERCENT)
		return -ERANGE;
	id = find_get_pid(pid);
	task = get_pid_task(id, PIDTYPE_TGID);
	put_pid(id);
	if (!task)
		return -ESRCH;
	flags = model_lock_all(NULL);
	thread = records_of(task);
	if (thread == records_unrecorded)
		error = -ENOSPC;
	else
		thread->process->class_percent = percent;
	model_unlock_all(flags);
	put_task_struct(task);
	return error;
}

static ssize_t class_write(struct file *file, const char __user *from, size_t size, loff_t *position)
{
	char line[INPUT_BYTES];
	int error = take_input(line, from, size);

	if (!error)
		error = set_class(line);
	return error ?: size;
}

static int class_show(struct seq_file *file, void *unused)
{
	unsigned int index;

	for (index = 0; index < READ_ONCE(records_nr_processes); index++) {
		struct ph_process *process = &records_processes[index];

		if (process->live && process->class_percent != 100)
			seq_printf(file, "%d %u\n", process->pid, process->class_percent);
	}
	return 0;
}

static int class_open(struct inode *inode, struct file *file)
{
	return single_open(file, class_show, NULL);
}

static const struct file_operations class_fops = {
	.owner = THIS_MODULE,
	.open = class_open,
	.read = seq_read,
	.write = class_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static ssize_t fault_write(struct file *file, const char __user *from, size_t size, loff_t *position)
{
	char line[INPUT_BYTES];
	int error = take_input(line, from, size);

	if (!error)
		error = powercap_fault(line);
	return error ?: size;
}

static const struct file_operations fault_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = fault_write,
};

int debugfs_init(void)
{
	directory = debugfs_create_dir("power_host", NULL);
	if (IS_ERR(directory))
		return PTR_ERR(directory);
	debugfs_create_file("truth", 0400, directory, NULL, &truth_fops);
	debugfs_create_file("control", 0600, directory, NULL, &control_fops);
	debugfs_create_file("class", 0600, directory, NULL, &class_fops);
	debugfs_create_file("fault", 0200, directory, NULL, &fault_fops);
	return 0;
}

void debugfs_exit(void)
{
	debugfs_remove(directory);
}
