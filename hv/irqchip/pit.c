// The 8254 timer: Intel 8254 data sheet. Channel 0 drives GSI 0 from a host timer, channel 2's gate
// and output are in port 0x61 (Intel 82371SB, 4.2.2). Counts are computed from the time when
// somebody looks; nothing here ticks. BCD counting is not done.
//
// Ticks that come before the guest has ended the last one's interrupt are kept and delivered as it
// ends them, so that a guest that counts ticks keeps its time.

#include "hv/irqchip/irqchip.h"

#include "kernel/lib/err.h"
#include "kernel/mm/slab.h"
#include "kernel/x86/clock.h"

#define PIT_HZ 1193182
#define MIN_PERIOD_NS (200 * NSEC_PER_USEC) // a guest cannot keep the host busy with ticks
#define NO_MODE 0xff                        // before the first control word
#define SPEAKER 2                           // channel
enum { BYTE_LOW = 1, BYTE_HIGH, WORD_LOW, WORD_HIGH }; // what the next access is

static struct kvm_pit_channel_state *channel_of(struct pit *p, unsigned channel)
{
    return &p->state.channels[channel];
}

static u64 clocks_since_load(const struct kvm_pit_channel_state *c)
{
    u64 ns = clock_ns() - (u64)c->count_load_time;

    return ns / NSEC_PER_SEC * PIT_HZ + ns % NSEC_PER_SEC * PIT_HZ / NSEC_PER_SEC;
}

static u16 current_count(const struct kvm_pit_channel_state *c)
{
    u64 clocks = clocks_since_load(c);

    switch (c->mode) {
    case 2:
        return c->count - clocks % c->count;
    case 3:
        return c->count - 2 * clocks % c->count;
    default:
        return c->count - clocks;
    }
}

static bool output(const struct kvm_pit_channel_state *c)
{
    u64 clocks = clocks_since_load(c);

    switch (c->mode) {
    case 0:
        return clocks >= c->count;
    case 1:
        return clocks < c->count;
    case 2:
        return clocks && clocks % c->count == 0;
    case 3:
        return clocks % c->count < (c->count + 1) / 2;
    default:
        return clocks == c->count;
    }
}

// The interrupt of one tick, unless the guest is still at the last one.
static void deliver(struct pit *p)
{
    if (p->reinject && !p->acked)
        return;
    p->acked = false;
    irqchip_line(p->vm, SOURCE_PIT, 0, true);
    irqchip_line(p->vm, SOURCE_PIT, 0, false);
}

static void expired(struct ktimer *t)
{
    struct pit *p = container_of(t, struct pit, timer);

    p->pending++;
    if (p->period_ns)
        ktimer_set(t, t->deadline_ns + p->period_ns, expired);
    deliver(p);
}

void pit_acked(struct pit *p)
{
    p->acked = true;
    if (p->reinject && p->pending && --p->pending)
        deliver(p);
}

void pit_reset_reinject(struct pit *p)
{
    p->pending = 0;
    p->acked = true;
}

static void start_timer(struct pit *p)
{
    const struct kvm_pit_channel_state *c = channel_of(p, 0);
    u64 ns = (u64)c->count * NSEC_PER_SEC / PIT_HZ;

    ktimer_cancel(&p->timer);
    pit_reset_reinject(p);
    p->period_ns = 0;
    if (c->mode > 4)
        return;
    if (c->mode == 2 || c->mode == 3)
        ns = p->period_ns = max(ns, MIN_PERIOD_NS);
    ktimer_set(&p->timer, clock_ns() + ns, expired);
}

void pit_load(struct pit *p, unsigned channel, u32 count)
{
    struct kvm_pit_channel_state *c = channel_of(p, channel);

    c->count = count ? count : 0x10000;
    c->count_load_time = clock_ns();
    if (channel == 0)
        start_timer(p);
}

static void latch_count(struct kvm_pit_channel_state *c)
{
    if (c->count_latched)
        return;
    c->latched_count = current_count(c);
    c->count_latched = c->rw_mode;
}

static void latch_status(struct kvm_pit_channel_state *c)
{
    if (c->status_latched)
        return;
    c->status = output(c) << 7 | c->rw_mode << 4 | (c->mode & 7) << 1 | c->bcd;
    c->status_latched = 1;
}

static void read_back(struct pit *p, u8 command)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!(command & 2 << i))
            continue;
        if (!(command & 0x20))
            latch_count(channel_of(p, i));
        if (!(command & 0x10))
            latch_status(channel_of(p, i));
    }
}

static void write_control(struct pit *p, u8 value)
{
    unsigned channel = value >> 6, access = value >> 4 & 3, mode = value >> 1 & 7;

    if (channel == 3) {
        read_back(p, value);
        return;
    }
    struct kvm_pit_channel_state *c = channel_of(p, channel);
    if (!access) {
        latch_count(c);
        return;
    }
    c->rw_mode = c->read_state = c->write_state = access;
    c->mode = mode > 5 ? mode - 4 : mode; // bit 2 of modes 2 and 3 is not decoded
    c->bcd = value & 1;
}

static void write_count(struct pit *p, unsigned channel, u8 value)
{
    struct kvm_pit_channel_state *c = channel_of(p, channel);

    switch (c->write_state) {
    case BYTE_LOW:
        pit_load(p, channel, value);
        break;
    case BYTE_HIGH:
        pit_load(p, channel, value << 8);
        break;
    case WORD_LOW:
        c->write_latch = value;
        c->write_state = WORD_HIGH;
        break;
    case WORD_HIGH:
        c->write_state = WORD_LOW;
        pit_load(p, channel, c->write_latch | value << 8);
        break;
    }
}

// The byte of a count that `state` names; a word's low byte is followed by its high one.
static u8 take_byte(u16 count, u8 *state, u8 after_low, u8 after_high)
{
    switch (*state) {
    case WORD_LOW:
        *state = after_low;
        return count;
    case WORD_HIGH:
        *state = after_high;
        return count >> 8;
    default:
        return *state == BYTE_HIGH ? count >> 8 : count;
    }
}

static u8 read_channel(struct kvm_pit_channel_state *c)
{
    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    if (c->count_latched) {
        bool more = c->count_latched == WORD_LOW;
        u8 byte = take_byte(c->latched_count, &c->count_latched, BYTE_HIGH, 0);
        if (!more)
            c->count_latched = 0;
        return byte;
    }
    return take_byte(current_count(c), &c->read_state, WORD_HIGH, WORD_LOW);
}

static u8 read_port61(struct pit *p)
{
    const struct kvm_pit_channel_state *c = channel_of(p, SPEAKER);
    bool refresh = clock_ns() >> 14 & 1, data = p->state.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON;

    return output(c) << 5 | refresh << 4 | data << 1 | (c->gate & 1);
}

static void write_port61(struct pit *p, u8 value)
{
    struct kvm_pit_channel_state *c = channel_of(p, SPEAKER);

    p->state.flags = value & 2 ? p->state.flags | KVM_PIT_FLAGS_SPEAKER_DATA_ON
                               : p->state.flags & ~KVM_PIT_FLAGS_SPEAKER_DATA_ON;
    if ((value & 1) && !c->gate && c->mode != 0 && c->mode != 4)
        c->count_load_time = clock_ns(); // a rising gate starts the count again
    c->gate = value & 1;
}

// What user space gives may be anything: counts and modes that do not exist become ones that do.
void pit_set(struct pit *p, const struct kvm_pit_state2 *state)
{
    p->state = *state;
    for (unsigned i = 0; i < 3; i++) {
        struct kvm_pit_channel_state *c = channel_of(p, i);
        if (c->mode > 5)
            c->mode = NO_MODE;
        pit_load(p, i, min(c->count, 0x10000u));
    }
}

bool pit_port(struct pit *p, bool in, u16 port, u8 *value)
{
    if (port == 0x61 && p->speaker_port) {
        if (in)
            *value = read_port61(p);
        else
            write_port61(p, *value);
        return true;
    }
    if (port < 0x40 || port > 0x43)
        return false;
    if (in)
        *value = port == 0x43 ? 0 : read_channel(channel_of(p, port - 0x40));
    else if (port == 0x43)
        write_control(p, *value);
    else
        write_count(p, port - 0x40, *value);
    return true;
}

int pit_create(struct vm *vm, const struct kvm_pit_config *config)
{
    if (vm->pit)
        return -EEXIST;
    struct pit *p = kzalloc_charged(sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->vm = vm;
    p->speaker_port = config->flags & KVM_PIT_SPEAKER_DUMMY;
    p->reinject = true;
    for (unsigned i = 0; i < 3; i++) {
        p->state.channels[i].mode = NO_MODE;
        p->state.channels[i].gate = i != SPEAKER;
        pit_load(p, i, 0);
    }
    vm->pit = p;
    return 0;
}

void pit_destroy(struct vm *vm)
{
    if (!vm->pit)
        return;
    ktimer_cancel(&vm->pit->timer);
    kfree(vm->pit);
    vm->pit = NULL;
}
