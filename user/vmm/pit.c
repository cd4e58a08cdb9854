/* The 8254, computed from a clock rather than counted. */
#include "user/vmm/pit.h"

#include <string.h>

#define PIT_HZ 1193182ull
#define NS_PER_S 1000000000ull

enum { MODE_ONE_SHOT = 0, MODE_RATE = 2, MODE_SQUARE = 3 };
enum { PORT61_GATE2 = 1, PORT61_SPEAKER = 2, PORT61_REFRESH = 0x10, PORT61_OUT2 = 0x20 };

static uint64_t ns_to_ticks(uint64_t ns)
{
    return ns / NS_PER_S * PIT_HZ + ns % NS_PER_S * PIT_HZ / NS_PER_S;
}

static uint64_t ticks_to_ns(uint64_t ticks)
{
    return ticks / PIT_HZ * NS_PER_S + (ticks % PIT_HZ * NS_PER_S + PIT_HZ - 1) / PIT_HZ;
}

void pit_init(struct pit *pit)
{
    memset(pit, 0, sizeof(*pit));
    for (int i = 0; i < 3; i++) {
        pit->channel[i].access = 3;
        pit->channel[i].reload = 65536;
        pit->channel[i].gate = i != 2;
    }
}

static bool periodic(const struct pit_channel *c)
{
    return c->mode == MODE_RATE || c->mode == MODE_SQUARE;
}

static uint64_t elapsed(const struct pit_channel *c, uint64_t now_ns)
{
    return c->loaded && c->gate ? ns_to_ticks(now_ns - c->start_ns) : 0;
}

static uint16_t count(const struct pit_channel *c, uint64_t now_ns)
{
    uint64_t t = elapsed(c, now_ns);

    if (c->mode == MODE_SQUARE)
        t *= 2;
    return (uint16_t)(periodic(c) ? c->reload - t % c->reload : c->reload - t);
}

static bool output(const struct pit_channel *c, uint64_t now_ns)
{
    uint64_t t = elapsed(c, now_ns);

    if (c->mode == MODE_SQUARE)
        return t % c->reload < (c->reload + 1) / 2;
    if (c->mode == MODE_RATE)
        return t % c->reload != c->reload - 1;
    return c->loaded && t >= c->reload;
}

static void load(struct pit_channel *c, uint32_t value, uint64_t now_ns)
{
    c->reload = value ? value : 65536;
    c->loaded = true;
    c->start_ns = now_ns;
    c->next_ns = now_ns + ticks_to_ns(c->reload);
}

static void write_count(struct pit_channel *c, uint8_t value, uint64_t now_ns)
{
    if (c->access == 1) {
        load(c, value, now_ns);
    } else if (c->access == 2) {
        load(c, (uint32_t)value << 8, now_ns);
    } else if (!c->high_next_write) {
        c->low_written = value;
        c->high_next_write = true;
    } else {
        c->high_next_write = false;
        load(c, c->low_written | (uint32_t)value << 8, now_ns);
    }
}

static void latch_count(struct pit_channel *c, uint64_t now_ns)
{
    if (!c->count_latched)
        c->latch = count(c, now_ns);
    c->count_latched = true;
}

static void latch_status(struct pit_channel *c, uint64_t now_ns)
{
    c->status = (uint8_t)(output(c, now_ns) << 7 | !c->loaded << 6 | c->access << 4 | c->mode << 1);
    c->status_latched = true;
}

static void write_control(struct pit *pit, uint8_t value, uint64_t now_ns)
{
    unsigned select = value >> 6;

    if (select == 3) { /* read-back: latch the count and/or the status of several channels */
        for (unsigned i = 0; i < 3; i++) {
            if (value & 2 << i && !(value & 0x20))
                latch_count(&pit->channel[i], now_ns);
            if (value & 2 << i && !(value & 0x10))
                latch_status(&pit->channel[i], now_ns);
        }
        return;
    }
    struct pit_channel *c = &pit->channel[select];
    if ((value >> 4 & 3) == 0) {
        latch_count(c, now_ns);
        return;
    }
    c->access = value >> 4 & 3;
    c->mode = value >> 1 & 7;
    if (c->mode > 5)
        c->mode &= 3; /* the top bit does not count for modes 2 and 3 */
    c->loaded = c->high_next_read = c->high_next_write = c->count_latched = false;
    c->next_ns = 0;
}

static void set_gate(struct pit_channel *c, bool gate, uint64_t now_ns)
{
    if (gate && !c->gate)
        c->start_ns = now_ns;
    c->gate = gate;
}

void pit_write(struct pit *pit, uint16_t port, uint8_t value, uint64_t now_ns)
{
    if (port == 0x61) {
        pit->port61 = value & (PORT61_GATE2 | PORT61_SPEAKER);
        set_gate(&pit->channel[2], value & PORT61_GATE2, now_ns);
    } else if (port == 0x43) {
        write_control(pit, value, now_ns);
    } else {
        write_count(&pit->channel[port - 0x40], value, now_ns);
    }
}

static uint8_t read_count(struct pit_channel *c, uint64_t now_ns)
{
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    uint16_t value = c->count_latched ? c->latch : count(c, now_ns);
    bool high = c->access == 2 || (c->access == 3 && c->high_next_read);
    if (c->access == 3)
        c->high_next_read = !c->high_next_read;
    if (c->access != 3 || high)
        c->count_latched = false;
    return (uint8_t)(high ? value >> 8 : value);
}

static uint8_t read_port61(const struct pit *pit, uint64_t now_ns)
{
    uint8_t value = pit->port61;

    if (now_ns / 15085 & 1) /* the refresh bit flips every 15.085 microseconds */
        value |= PORT61_REFRESH;
    if (output(&pit->channel[2], now_ns))
        value |= PORT61_OUT2;
    return value;
}

uint8_t pit_read(struct pit *pit, uint16_t port, uint64_t now_ns)
{
    if (port == 0x61)
        return read_port61(pit, now_ns);
    if (port == 0x43)
        return 0xff;
    return read_count(&pit->channel[port - 0x40], now_ns);
}

uint64_t pit_deadline(const struct pit *pit)
{
    return pit->channel[0].loaded ? pit->channel[0].next_ns : 0;
}

bool pit_take_tick(struct pit *pit, uint64_t now_ns)
{
    struct pit_channel *c = &pit->channel[0];

    if (!c->loaded || !c->next_ns || now_ns < c->next_ns)
        return false;
    if (!periodic(c)) {
        c->next_ns = 0;
        return true;
    }
    if (now_ns - c->next_ns > NS_PER_S) { /* too far behind: begin anew from now */
        c->next_ns = now_ns;
        c->start_ns = now_ns;
    }
    uint64_t ticks = (ns_to_ticks(c->next_ns - c->start_ns) / c->reload + 1) * c->reload;
    c->next_ns = c->start_ns + ticks_to_ns(ticks);
    return true;
}
