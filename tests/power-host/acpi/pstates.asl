// SPDX-License-Identifier: LGPL-2.1-or-later
// What acpi-cpufreq asks the firmware for: six P-states of QEMU's four CPUs. The port that is written is nobody's;
// which frequency a CPU has is known to the kernel alone, and by its notifiers to the module.
DefinitionBlock ("", "SSDT", 2, "VPOWER", "PSTATES", 1)
{
    External (\_SB.CPUS, DeviceObj)
    External (\_SB.CPUS.C000, DeviceObj)
    External (\_SB.CPUS.C001, DeviceObj)
    External (\_SB.CPUS.C002, DeviceObj)
    External (\_SB.CPUS.C003, DeviceObj)

    Scope (\_SB.CPUS)
    {
        Name (PPCT, Package ()
        {
            ResourceTemplate () { Register (SystemIO, 8, 0, 0x0C80) }, // control
            ResourceTemplate () { Register (SystemIO, 8, 0, 0x0C80) }  // status
        })

        // MHz, mW, latency in us of a transition and of the bus, control, status
        Name (PPSS, Package ()
        {
            Package () { 2400, 20000, 10, 10, 0, 0 },
            Package () { 2080, 16500, 10, 10, 1, 1 },
            Package () { 1760, 13200, 10, 10, 2, 2 },
            Package () { 1440, 10100, 10, 10, 3, 3 },
            Package () { 1120, 7200, 10, 10, 4, 4 },
            Package () { 800, 4500, 10, 10, 5, 5 }
        })
    }

    Scope (\_SB.CPUS.C000)
    {
        Method (_PCT) { Return (\_SB.CPUS.PPCT) }
        Method (_PSS) { Return (\_SB.CPUS.PPSS) }
        Name (_PPC, Zero)
        Name (_PSD, Package () { Package () { 5, 0, 0, 0xFD, 1 } }) // a domain of its own
    }

    Scope (\_SB.CPUS.C001)
    {
        Method (_PCT) { Return (\_SB.CPUS.PPCT) }
        Method (_PSS) { Return (\_SB.CPUS.PPSS) }
        Name (_PPC, Zero)
        Name (_PSD, Package () { Package () { 5, 0, 1, 0xFD, 1 } }) // a domain of its own
    }

    Scope (\_SB.CPUS.C002)
    {
        Method (_PCT) { Return (\_SB.CPUS.PPCT) }
        Method (_PSS) { Return (\_SB.CPUS.PPSS) }
        Name (_PPC, Zero)
        Name (_PSD, Package () { Package () { 5, 0, 2, 0xFD, 1 } }) // a domain of its own
    }

    Scope (\_SB.CPUS.C003)
    {
        Method (_PCT) { Return (\_SB.CPUS.PPCT) }
        Method (_PSS) { Return (\_SB.CPUS.PPSS) }
        Name (_PPC, Zero)
        Name (_PSD, Package () { Package () { 5, 0, 3, 0xFD, 1 } }) // a domain of its own
    }
}
