// SPDX-License-Identifier: GPL-2.0-only
/*
 * From now on the kernel takes its first CPU for one of AMD's.
 *
 * QEMU emulates SVM whatever the processor's name is, but kvm_amd looks at the name first, when it
 * is loaded and whenever a first guest starts; topology with hyperthreads and a TSC that frequency
 * changes leave alone are there under Intel's name only. What was decided by the name at boot, and
 * what /proc/cpuinfo shows, stays Intel's. While a CPU comes online the name is Intel's again, since
 * the kernel reads its caches by the first CPU's name, and by AMD's it would share none with its sibling.
 */
#include <linux/cpuhotplug.h>
#include <linux/module.h>
#include <asm/processor.h>

/* A step of a CPU that starts, after it was identified and before KVM's own; the step is another architecture's. */
#define IDENTIFIED CPUHP_AP_IRQ_GIC_STARTING

static int call_amd(unsigned int cpu)
{
	boot_cpu_data.x86_vendor = X86_VENDOR_AMD;
	return 0;
}

static int call_intel(unsigned int cpu)
{
	boot_cpu_data.x86_vendor = X86_VENDOR_INTEL;
	return 0;
}

static int __init nested_init(void)
{
	int state;

	if (!boot_cpu_has(X86_FEATURE_SVM))
		return -ENODEV;
	call_amd(0);
	/* Down to where it began if a start fails, too. */
	state = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "nested:starts", call_intel, call_amd);
	if (state < 0)
		return state;
	return cpuhp_setup_state_nocalls(IDENTIFIED, "nested:identified", call_amd, NULL);
}

module_init(nested_init);
MODULE_DESCRIPTION("Lets kvm_amd work on an emulated processor with Intel's name");
MODULE_LICENSE("GPL");
