/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest without an operating system that works in a chosen way, on all its vCPUs:
 * by turns of PERIOD ticks of the timer, of which `on` are spent working and the rest
 * halted. What it does is in the parameters, which the starter (guests.py) writes into
 * the image. It prints W to the debug console (port 0xe9) once all its vCPUs run, and
 * E if a device that it needs is not there.
 *
 * Real mode throughout; fs reaches 4 GiB, for the local APIC and for memory.
 */
        .code16
        .text
        .globl _start

        .set SPIN, 1
        .set MEMORY, 2
        .set DISK, 4
        .set NET, 8

        .set PERIOD, 20                 /* ticks */
        .set TICK_DIVISOR, 11932        /* of 1193182 Hz: 100 ticks a second */
        .set APIC_ICR, 0xfee00300
        .set AP_PAGE, 0x9               /* where the other vCPUs begin: 0x9000 */
        .set FIRST_BYTE, 0x200000       /* of the memory that is touched */
        .set DISK_SEGMENT, 0x2000
        .set RING_SEGMENT, 0x3000
        .set DISK_SECTORS, 64           /* of one request */
        .set DISK_SPAN, 0x3fff          /* in sectors, less one: reads go round in 8 MiB */
        .set DISK_WRITES, 0x4000        /* where what was read is written to */
        .set FRAMES, 32                 /* sent at once */
        .set FRAME_BYTES, 1514

_start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        sti
        movw    $0x0207, %ax            /* read 7 sectors: the rest of this program */
        movw    $0x0002, %cx
        xorb    %dh, %dh
        movw    $0x7e00, %bx
        int     $0x13
        jc      lost
        movb    %dl, drive
        jmp     main
lost:
        movb    $'E', %al
        outb    %al, $0xe9
1:      cli
        hlt
        jmp     1b

        .org 0x1e0
params:
work:   .byte SPIN
on:     .byte PERIOD
vcpus:  .byte 1
mib:    .byte 8
        .org 0x1fe
        .word 0xaa55

main:
        call    reach_4g
        movw    $nmi, 2 * 4             /* wakes a vCPU that has halted */
        movw    $0, 2 * 4 + 2
        call    start_others
        testb   $NET, work
        jz      1f
        call    net_start
1:      cmpb    $0, on                  /* idle but for the BIOS's own timer */
        je      2f
        cli
        cmpb    $PERIOD, on             /* never halts: needs no ticks */
        je      2f
        call    start_ticks
2:      movb    $'W', %al
        outb    %al, $0xe9
        movl    $FIRST_BYTE, %edi

turn:
        movl    ticks, %eax
        movl    %eax, %ebx
        xorl    %edx, %edx
        movl    $PERIOD, %ecx
        divl    %ecx
        cmpb    on, %dl
        jae     3f
        cmpl    last_tick, %ebx
        je      2f
        movl    %ebx, last_tick
        movb    $1, active
        call    wake_others
2:      call    work_cpu
        testb   $DISK, work
        jz      1f
        call    work_disk
1:      testb   $NET, work
        jz      turn
        call    work_net
        jmp     turn
3:      movb    $0, active
        sti
        hlt
        jmp     turn

/* What every vCPU does. */
work_cpu:
        testb   $SPIN, work
        jz      2f
        movw    $0x400, %cx
1:      loop    1b
2:      testb   $MEMORY, work
        jz      5f
        movzbl  mib, %edx
        shll    $20, %edx
        addl    $FIRST_BYTE, %edx
        movw    $0x100, %cx
3:      incl    %fs:(%edi)              /* one word of each cache line */
        addl    $64, %edi
        cmpl    %edx, %edi
        jb      4f
        movl    $FIRST_BYTE, %edi
4:      loop    3b
5:      ret

work_disk:
        pushl   %edi
        movb    $0x42, %ah
        call    disk_request
        addw    $DISK_WRITES, packet_sector
        movb    $0x43, %ah
        call    disk_request
        subw    $DISK_WRITES - DISK_SECTORS, packet_sector
        andw    $DISK_SPAN, packet_sector
        call    reach_4g                /* the BIOS may have undone it */
        popl    %edi
        ret
disk_request:
        movb    $0, %al
        movb    drive, %dl
        movw    $packet, %si
        int     $0x13
        jc      lost
        ret

/* fs: base 0, limit 4 GiB. */
reach_4g:
        pushf
        cli
        lgdt    table
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        jmp     1f
1:      movw    $8, %bx
        movw    %bx, %fs
        andb    $0xfe, %al
        movl    %eax, %cr0
        jmp     1f
1:      popf
        ret

start_ticks:
        cli
        movw    $tick, 8 * 4
        movw    $0, 8 * 4 + 2
        movb    $0x34, %al
        outb    %al, $0x43
        movb    $(TICK_DIVISOR & 0xff), %al
        outb    %al, $0x40
        movb    $(TICK_DIVISOR >> 8), %al
        outb    %al, $0x40
        sti
        ret
tick:
        pushw   %ax
        incl    %cs:ticks
        movb    $0x20, %al
        outb    %al, $0x20
        popw    %ax
        iret
nmi:
        iret

/* By INIT and SIPI; waits until all of them have come up. */
start_others:
        cmpb    $1, vcpus
        je      2f
        movb    $0xea, AP_PAGE << 12    /* ljmp $0, $other */
        movw    $other, (AP_PAGE << 12) + 1
        movw    $0, (AP_PAGE << 12) + 3
        movl    $APIC_ICR, %esi
        movl    $0x000c4500, %fs:(%esi)
        call    wait_a_little
        movl    $0x000c4600 + AP_PAGE, %fs:(%esi)
        call    wait_a_little
        movl    $0x000c4600 + AP_PAGE, %fs:(%esi)
1:      pause
        movb    vcpus, %al
        decb    %al
        cmpb    %al, ready
        jb      1b
2:      ret
wait_a_little:
        movl    $0x10000, %ecx
1:      decl    %ecx
        jnz     1b
        ret
wake_others:
        cmpb    $1, vcpus
        je      1f
        movl    $APIC_ICR, %esi
        movl    $0x000c4400, %fs:(%esi) /* NMI to all but this one */
1:      ret

/* The other vCPUs. */
other:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $1, %ax
        lock xaddw %ax, started
        shlw    $9, %ax
        movw    $0x7000, %sp
        subw    %ax, %sp
        call    reach_4g
        movl    $FIRST_BYTE, %edi
        lock incb ready
1:      cmpb    $1, active
        jne     2f
        testb   $(SPIN | MEMORY), work
        jz      2f
        call    work_cpu
        jmp     1b
2:      hlt
        jmp     1b

/* The transmit queue of a legacy virtio-net device. */
net_start:
        movw    $0xb102, %ax            /* PCI BIOS: find the device */
        movw    $0x1000, %cx
        movw    $0x1af4, %dx
        xorw    %si, %si
        int     $0x1a
        jc      lost
        movw    $0xb109, %ax            /* its command register: I/O and bus master */
        movw    $4, %di
        int     $0x1a
        orw     $5, %cx
        movw    $0xb10c, %ax
        int     $0x1a
        movw    $0xb10a, %ax            /* its ports */
        movw    $0x10, %di
        int     $0x1a
        andw    $0xfffc, %cx
        movw    %cx, port
        call    reach_4g

        movw    port, %dx
        addw    $0x12, %dx              /* status: reset, then seen, then driven */
        xorb    %al, %al
        outb    %al, %dx
        movb    $3, %al
        outb    %al, %dx
        movw    port, %dx
        addw    $4, %dx                 /* no features */
        xorl    %eax, %eax
        outl    %eax, %dx
        movw    port, %dx
        addw    $0xe, %dx               /* queue 1 is for sending */
        movw    $1, %ax
        outw    %ax, %dx
        movw    port, %dx
        addw    $0xc, %dx
        inw     %dx, %ax
        decw    %ax
        movw    %ax, ring_mask
        incw    %ax

        pushw   %es
        movw    $RING_SEGMENT, %bx
        movw    %bx, %es
        pushw   %ax
        xorw    %di, %di                /* all of it 0 */
        xorw    %ax, %ax
        movw    $0x7fff, %cx
        cld
        rep stosw
        popw    %ax
        shlw    $4, %ax                 /* descriptors, then what is available */
        movw    %ax, avail
        movw    %ax, %bx
        movw    $1, %es:(%bx)           /* no interrupts, please */
        movw    ring_mask, %bx
        addw    %bx, %bx
        addw    %bx, %ax
        addw    $4 + 2 + 2 + 0xfff, %ax
        andw    $0xf000, %ax            /* what was used: from the next page on */
        movw    %ax, used
        movl    $(RING_SEGMENT << 4) + 0xf000, %es:0    /* the header: zeroes */
        movl    $10, %es:8
        movw    $1, %es:12                              /* goes on ... */
        movw    $1, %es:14                              /* ... at descriptor 1 */
        movl    $(RING_SEGMENT << 4) + 0xf100, %es:16   /* the frame */
        movl    $FRAME_BYTES, %es:24
        movw    $0xffff, %es:0xf100                     /* to everybody */
        movl    $0xffffffff, %es:0xf102
        movl    $0x00005452, %es:0xf106                 /* from 52:54:00:00:00:01 */
        movw    $0x0100, %es:0xf10a
        movw    $0xb588, %es:0xf10c                     /* an EtherType for experiments */
        popw    %es

        movw    port, %dx
        addw    $8, %dx
        movl    $RING_SEGMENT >> 8, %eax
        outl    %eax, %dx
        movw    port, %dx
        addw    $0x12, %dx
        movb    $7, %al                 /* the driver is ready */
        outb    %al, %dx
        ret

work_net:
        pushl   %edi
        pushw   %es
        movw    $RING_SEGMENT, %ax
        movw    %ax, %es
        movw    avail, %bx
        movw    used, %si               /* every entry is descriptor 0, as the ring's zeroes say */
        movw    %es:2(%bx), %ax
        addw    $FRAMES, %ax
        movw    %ax, %es:2(%bx)
        pushw   %ax
        movw    port, %dx
        addw    $0x10, %dx
        movw    $1, %ax
        outw    %ax, %dx
        popw    %ax
1:      pause
        cmpw    %ax, %es:2(%si)
        jne     1b
        popw    %es
        popl    %edi
        ret

        .balign 8
gdt:    .quad 0
        .quad 0x00cf92000000ffff
table:  .word 15
        .long gdt
packet: .byte 16, 0
        .word DISK_SECTORS, 0, DISK_SEGMENT
packet_sector:
        .word 0, 0, 0, 0
ticks:  .long 0
last_tick:
        .long 0xffffffff
port:   .word 0
ring_mask:
        .word 0
avail:  .word 0
used:   .word 0
started:
        .word 0
drive:  .byte 0
active: .byte 0
ready:  .byte 0
        .org 0x1000
