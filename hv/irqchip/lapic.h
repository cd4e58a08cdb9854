// The local APIC of a vCPU: SDM 3A, chapter 11. Registers in MMIO (xAPIC) or as MSRs (x2APIC).
#pragma once
#include "hv/irqchip/irqchip.h"

// Offsets of the registers in the page; an x2APIC MSR is 0x800 + offset / 16.
enum lapic_reg {
    LAPIC_ID = 0x20,
    LAPIC_VERSION = 0x30,
    LAPIC_TPR = 0x80,
    LAPIC_APR = 0x90,
    LAPIC_PPR = 0xa0,
    LAPIC_EOI = 0xb0,
    LAPIC_LDR = 0xd0,
    LAPIC_DFR = 0xe0,
    LAPIC_SPIV = 0xf0,
    LAPIC_ISR = 0x100,
    LAPIC_TMR = 0x180,
    LAPIC_IRR = 0x200,
    LAPIC_ESR = 0x280,
    LAPIC_ICR = 0x300,
    LAPIC_ICR2 = 0x310,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_THERMAL = 0x330,
    LAPIC_LVT_COUNTER = 0x340,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_LVT_LINT1 = 0x360,
    LAPIC_LVT_ERROR = 0x370,
    LAPIC_INITIAL_COUNT = 0x380,
    LAPIC_CURRENT_COUNT = 0x390,
    LAPIC_DIVIDE = 0x3e0,
    LAPIC_SELF_IPI = 0x3f0,
};

#define SPIV_ENABLED BIT(8)
#define LVT_MASKED BIT(16)
#define LVT_TIMER_MODE (3 << 17)
#define LVT_PERIODIC (1 << 17)
#define LVT_TSC_DEADLINE (2 << 17)
#define ESR_SEND_ILLEGAL BIT(5)
#define ESR_RECEIVE_ILLEGAL BIT(6)
#define ESR_ILLEGAL_REGISTER BIT(7)

// Delivery modes.
enum apic_mode {
    APIC_MODE_FIXED,
    APIC_MODE_LOWEST,
    APIC_MODE_SMI,
    APIC_MODE_NMI = 4,
    APIC_MODE_INIT,
    APIC_MODE_STARTUP,
    APIC_MODE_EXTINT
};

struct lapic {
    struct vcpu *vcpu;
    u32 reg[KVM_APIC_REG_SIZE / 4];
    bool irr_used; // some bit of IRR may be set
    u32 errors;    // that the next write of ESR will show
    u32 turns;     // how often it was chosen as the one of lowest priority
    u64 tsc_deadline;
    u64 period_ns; // of the periodic timer
    struct ktimer timer;
};

// A message on the APIC bus.
struct apic_message {
    u32 dest;
    enum { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS } shorthand;
    u8 vector, mode;
    bool logical;
    bool level;  // triggered
    bool assert; // INIT level de-assert: false
    bool lowest; // one of those addressed takes it
};

static inline u32 *lapic_reg(struct lapic *l, enum lapic_reg offset)
{
    return &l->reg[offset / 4];
}

static inline bool lapic_x2(const struct lapic *l)
{
    return l->vcpu->apic_base & APIC_BASE_X2APIC;
}

// lapic.c
void lapic_reset(struct lapic *l, bool power_on); // else INIT
// Takes a message in: 1, or 0 where it is blocked.
int lapic_accept(struct lapic *l, const struct apic_message *m);
void lapic_local(struct lapic *l, enum lapic_reg lvt); // a local source's interrupt
int lapic_pending(struct lapic *l);                    // the vector to deliver next, -1
void lapic_take(struct lapic *l, u8 vector);
void lapic_ppr(struct lapic *l);
void lapic_end(struct lapic *l); // EOI
void lapic_error(struct lapic *l, u32 bit);
void lapic_refresh(struct lapic *l); // after its registers were set from outside

// lapic_regs.c
bool lapic_mmio(struct lapic *l, bool write, u64 gpa, u8 size, u64 *value); // false: not its page

// lapic_timer.c
void lapic_timer_write(struct lapic *l, enum lapic_reg offset, u32 value);
void lapic_timer_stop(struct lapic *l);
u32 lapic_timer_count(struct lapic *l);
void lapic_timer_resume(struct lapic *l,
                        u32 count); // goes on from a count, after registers are set
u64 lapic_deadline(struct lapic *l);
void lapic_set_deadline(struct lapic *l, u64 tsc);

// vcpu_events.c: the INIT and the start-up IPI that wait
void vcpu_take_starts(struct vcpu *v);

// apic_bus.c
// How many took it. from: NULL, an I/O APIC or MSI.
int apic_bus_send(struct vm *vm, const struct apic_message *m, struct lapic *from);
