#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

#include "user/vmm/boot.h"
#include "user/vmm/bus.h"
#include "user/vmm/cmos.h"
#include "user/vmm/pic.h"
#include "user/vmm/pit.h"
#include "user/vmm/uart.h"

/*
 * The guest's machine: one vCPU, memory, and the devices of an old PC and virtio devices on a PCI
 * bus. Everything runs in one thread; a timer signal takes the vCPU out of the guest when a device
 * has something to do.
 */

#define MIB (1024ull * 1024)

/* The hole for the VGA's memory: an access there is an MMIO exit to nothing. */
#define HOLE_START 0xa0000ull
#define HOLE_END 0xc0000ull

struct exit_counts {
    uint64_t reason[64];
    uint64_t mmio_nowhere, ports_nowhere, interrupts;
    uint32_t port[65536]; /* exits by port */
};

struct machine {
    const char *name;
    int kvm_fd, vm_fd, vcpu_fd;
    struct kvm_run *run;
    uint8_t *ram; /* guest-physical address 0 */
    uint64_t ram_size;
    uint32_t tsc_khz; /* of the guest's TSC; 0: KVM does not say */
    struct pic pic;
    struct pit pit;
    struct cmos cmos;
    struct bus bus;
    struct uart com[2];    /* COM1 is the console; what is sent to COM2 goes to standard error */
    uint8_t pm1_enable[2]; /* ACPI's event enables: remembered, and no event ever comes */
    unsigned shutdown_matched; /* letters of "Shutdown" seen at port 0x8900 */
    bool stopped;
    int status; /* the program's exit status, once stopped */
    struct exit_counts counts;
};

/* Makes the VM, its memory and its vCPU at reset. Ends the program with a message when KVM refuses.
 */
void machine_create(struct machine *m, uint64_t ram_size);
/* Sets the vCPU's first state; what it needs in memory goes below 0x8000. */
void machine_start_at(struct machine *m, const struct boot_entry *entry);
/* Runs the guest until it stops; returns the status for exit(). */
int machine_run(struct machine *m);

/* The port devices. data holds one item of size bytes, little endian; unclaimed ports read as ones.
 */
void ports_access(struct machine *m, uint16_t port, bool out, uint8_t *data, unsigned size);

/* Prints the vCPU's registers, for reports of crashes. */
void machine_dump(struct machine *m);
void machine_print_stats(const struct machine *m);
void machine_stop(struct machine *m, int status);
/* Nanoseconds of a monotonic clock. */
uint64_t clock_ns(void);
