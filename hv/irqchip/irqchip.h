// The interrupt chips of a PC inside the kernel (KVM_CREATE_IRQCHIP, KVM_CREATE_PIT2): the 8259
// pair, the 8254, the I/O APIC, and a local APIC for each vCPU.
//
// Wires: a GSI is a line of the VM. The routing table leads it to inputs of the chips or to an MSI.
// The 8259 pair and the local APICs are what a vCPU asks for its next interrupt. All of it runs
// under the kernel lock and never sleeps, so timers and eventfds may raise lines from interrupts.
//
// The chips keep their state in the structures of linux/kvm.h with which user space reads and
// writes it.
#pragma once
#include "hv/hv.h"
#include "kernel/task/timer.h"

#define PIC_PINS 16
#define IOAPIC_PINS KVM_IOAPIC_NUM_PINS

// Who drives a line: it is high while one of them does.
enum irq_source { SOURCE_USER, SOURCE_RESAMPLE, SOURCE_PIT };

struct irqchip {
    struct vm *vm;
    struct kvm_pic_state pic[2]; // master, slave
    bool pic_output;             // INT of the master
    u8 pic_lines[PIC_PINS];      // bit N: irq_source N drives the pin high
    struct kvm_ioapic_state ioapic;
    u8 ioapic_lines[IOAPIC_PINS];
    struct kvm_irq_routing_entry *route;
    u32 route_count;
};

struct pit {
    struct vm *vm;
    struct kvm_pit_state2 state;
    bool speaker_port; // port 0x61 is ours (KVM_PIT_SPEAKER_DUMMY)
    bool reinject;     // ticks that the guest was too slow for come later
    bool acked;        // the guest has ended the last tick's interrupt
    u32 pending;       // ticks not yet ended
    u64 period_ns;     // 0: one shot
    struct ktimer timer;
};

// irqchip.c
int irqchip_create(struct vm *vm); // 0, -EEXIST, -EINVAL (there is a vCPU), -ENOMEM
// The chip has been told that its pin's interrupt is served (end of interrupt).
void irqchip_acked(struct irqchip *c, u32 chip, unsigned pin);
void irqchip_unmasked(struct irqchip *c, u32 chip, unsigned pin);
// Drives a GSI. KVM_IRQ_LINE_STATUS's answer: < 0 masked or not routed, 0 coalesced with one that
// waits, > 0 delivered.
int irqchip_line(struct vm *vm, enum irq_source source, u32 gsi, bool level);
bool irqchip_accepts_pic(const struct vcpu *v); // the 8259 pair's INT reaches this vCPU

// A routing table's entry may stand behind those before it.
bool route_valid(const struct kvm_irq_routing_entry *route, u32 index);
int msi_send(struct vm *vm, u32 address, u32 data); // as apic_bus_send

// eventfd.c
void irqfd_acked(struct vm *vm, u32 gsi); // its level falls, until the next write

// pic.c
void pic_init(struct irqchip *c);
int pic_set_pin(struct irqchip *c, unsigned pin, enum irq_source source, bool level);
u8 pic_acknowledge(struct irqchip *c); // the INTA cycle: the vector
void pic_update(struct irqchip *c);    // after its state changed: INT, and who must know
bool pic_port(struct irqchip *c, bool in, u16 port, u8 *value); // false: not its port

// ioapic.c
void ioapic_init(struct irqchip *c);
int ioapic_set_pin(struct irqchip *c, unsigned pin, enum irq_source source, bool level);
void ioapic_end(struct irqchip *c, u8 vector, bool level);            // a local APIC's EOI
bool ioapic_mmio(struct irqchip *c, bool write, u64 gpa, u64 *value); // false: not its page
void ioapic_set(struct irqchip *c, const struct kvm_ioapic_state *state);

// pit.c
int pit_create(struct vm *vm, const struct kvm_pit_config *config); // 0, -EEXIST, -ENOMEM
void pit_destroy(struct vm *vm);
void pit_acked(struct pit *p);          // the guest ended a tick's interrupt
void pit_reset_reinject(struct pit *p); // it starts to listen: old ticks do not count
void pit_set(struct pit *p, const struct kvm_pit_state2 *state); // counts start anew
void pit_load(struct pit *p, unsigned channel, u32 count);
bool pit_port(struct pit *p, bool in, u16 port, u8 *value);
