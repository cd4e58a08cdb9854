#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

#include "user/vmm/boot.h"
#include "user/vmm/bus.h"
#include "user/vmm/cmos.h"
#include "user/vmm/console.h"
#include "user/vmm/uart.h"

/*
 * The guest's machine: vCPUs, memory, the devices of a PC, and virtio devices on a PCI bus. The
 * interrupt chips and the timer are KVM's; the other devices are here.
 *
 * Each vCPU is a thread that stays in KVM_RUN and serves its exits; the main thread has the
 * console. Whoever touches a device holds the machine's lock.
 */

#define MIB (1024ull * 1024)

/* The hole for the VGA's memory: an access there is an MMIO exit to nothing. */
#define HOLE_START 0xa0000ull
#define HOLE_END 0xc0000ull

enum { MAX_VCPUS = 16, MIN_MIB = 2, MAX_MIB = 3072 };

/* Lines of the interrupt chips (GSIs). */
enum { GSI_COM2 = 3, GSI_COM1 = 4, GSI_COUNT = 24 };

struct exit_counts {
    uint64_t mmio_nowhere, ports_nowhere, lines; /* lines: changes of interrupt lines */
    uint32_t port[65536];                        /* exits by port */
};

struct machine;

struct vcpu {
    struct machine *m;
    unsigned id;
    int fd;
    struct kvm_run *run;
    pthread_t thread;
    bool halted; /* in HLT with interrupts off, when last looked at */
    uint64_t reason[64];
};

/* A slot of KVM's: guest-physical addresses. */
struct machine_slot {
    uint64_t start, end;
};
enum { SLOTS = 2, PAGE_SIZE = 4096 };

struct machine {
    const char *name;
    int kvm_fd, vm_fd;
    struct vcpu vcpu[MAX_VCPUS];
    unsigned vcpu_count;
    uint8_t *ram; /* guest-physical address 0 */
    uint64_t ram_size;
    struct machine_slot slot[SLOTS];
    uint8_t *written; /* of struct guest_memory; migration sets it back to 0 */
    uint32_t tsc_khz; /* of the guest's TSC; 0: KVM does not say */
    pthread_mutex_t lock;
    pthread_cond_t pause_changed;
    bool pausing;                    /* vCPUs are to leave the guest and wait */
    unsigned paused;                 /* those that do */
    void *(*control)(void *machine); /* the thread that takes orders; NULL: none */
    uint64_t loaded;                 /* the last section of a saved state that was taken */
    int wake_fd;                     /* an eventfd that ends the main thread's sleep */
    bool lines[GSI_COUNT];           /* as KVM was told last */
    struct cmos cmos;
    struct bus bus;
    struct uart com[2]; /* COM1 is the console; what is sent to COM2 goes to standard error */
    uint64_t flush_at;  /* when what was sent must be written out; 0: nothing waits */
    struct console_keys typed; /* in a saved state only: console.c has them */
    uint8_t pm1_enable[2];     /* ACPI's event enables: remembered, and no event ever comes */
    unsigned shutdown_matched; /* letters of "Shutdown" seen at port 0x8900 */
    bool stopped;
    int status; /* the program's exit status, once stopped */
    struct exit_counts counts;
};

/* Makes the VM, its chips, its memory and its vCPUs at reset. Ends the program with a message when
 * KVM refuses. */
void machine_create(struct machine *m, uint64_t ram_size, unsigned cpus);
/* Its memory, for the devices. */
struct guest_memory machine_memory(const struct machine *m);
/* Says what the vCPU's CPUID instruction answers. */
void machine_set_cpuid(struct vcpu *v);
/* Looks for a feature among the entries that this machine's vCPU lacks. False: there is none. */
struct cpuid_lack {
    uint32_t function, index, bits;
    const char *name; /* of the register */
};
bool machine_lacks(const struct vcpu *v, const struct kvm_cpuid2 *wanted, struct cpuid_lack *lack);
/* Sets the first vCPU's first state; what it needs in memory goes below 0x8000. */
void machine_start_at(struct machine *m, const struct boot_entry *entry);
/* Puts a BIOS below 4 GiB and 1 MiB, where the first vCPU starts after reset. */
void machine_load_firmware(struct machine *m, const char *file);
/* Runs the guest until it stops; returns the status for exit(). */
int machine_run(struct machine *m);

/* The rest is called with the lock held. */

/* The port devices. data holds one item of size bytes, little endian; unclaimed ports read as ones.
 */
void ports_access(struct vcpu *v, uint16_t port, bool out, uint8_t *data, unsigned size);
/* Takes the lock and brings all vCPUs to a stand between two instructions, with nothing under way,
 * and what the guest has sent written out / lets them go on and drops the lock. */
void machine_pause(struct machine *m);
void machine_resume(struct machine *m);
/* Begins or ends KVM's log of the pages that the guest writes to. False: errno says why. */
bool machine_log(struct machine *m, bool on);
/* Drives an interrupt line. */
void machine_line(struct machine *m, unsigned gsi, bool level);
/* Makes every thread leave what it does. The first call decides about the status. */
void machine_stop(struct machine *m, int status);

/* Prints the vCPU's registers, for reports of crashes. */
void machine_dump(const struct vcpu *v);
void machine_print_stats(const struct machine *m);
/* Nanoseconds of a monotonic clock. */
uint64_t clock_ns(void);
