/*
 * The sections of a machine's state. Each is one structure of KVM's, read and written by a pair of
 * ioctls, or one device's; the tables below are in the order in which a new machine takes them.
 *
 * A device is saved as its structure. Its check must refuse what its code could not have come to:
 * a file may hold anything.
 */
#include "user/vmm/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include "user/vmm/bus_state.h"
#include "user/vmm/say.h"

enum { MAX_MSRS = 128, MAX_CPUID = 128, MSR_TSC = 0x10 };

struct cpuid_table {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entry[MAX_CPUID];
};

struct msr_table {
    uint64_t tsc; /* the host's, when they were read */
    struct kvm_msrs head;
    struct kvm_msr_entry entry[MAX_MSRS];
};

union kvm_structure {
    struct kvm_irqchip chip;
    struct kvm_xsave xsave;
    struct cpuid_table cpuid;
    uint8_t bytes[8192];
};

/* One structure for one pair of ioctls; chip: what struct kvm_irqchip must name. */
struct kvm_section {
    const char *name;
    unsigned long get, set;
    uint32_t size, chip;
};

static const struct kvm_section vm_sections[] = {
    {"pic-master", KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, sizeof(struct kvm_irqchip), 0},
    {"pic-slave", KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, sizeof(struct kvm_irqchip), 1},
    {"ioapic", KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, sizeof(struct kvm_irqchip), 2},
    {"pit", KVM_GET_PIT2, KVM_SET_PIT2, sizeof(struct kvm_pit_state2), 0},
    {"clock", KVM_GET_CLOCK, KVM_SET_CLOCK, sizeof(struct kvm_clock_data), 0},
};

static const struct kvm_section vcpu_sections[] = {
    {"cpuid", KVM_GET_CPUID2, KVM_SET_CPUID2, sizeof(struct cpuid_table), 0},
    {"sregs", KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs), 0},
    {"regs", KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs), 0},
    {"fpu", KVM_GET_FPU, KVM_SET_FPU, sizeof(struct kvm_fpu), 0},
    {"xsave", KVM_GET_XSAVE, KVM_SET_XSAVE, sizeof(struct kvm_xsave), 0},
    {"xcrs", KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs), 0},
    {"debugregs", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs), 0},
    {"msrs", 0, 0, sizeof(struct msr_table), 0},
    {"lapic", KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state), 0},
    {"mp-state", KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state), 0},
    {"events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events), 0},
};

/* NULL, or the field that holds what the device cannot. */
static const char *uart_wrong(const void *data)
{
    const struct uart *u = data;

    if (u->fifo_count > UART_FIFO)
        return "fifo_count";
    return u->out_count >= UART_OUT ? "out_count" : NULL;
}

static const char *cmos_wrong(const void *data)
{
    const struct cmos *cmos = data;

    return cmos->index < sizeof(cmos->memory) ? NULL : "index";
}

static const char *shutdown_wrong(const void *data)
{
    return *(const unsigned *)data < sizeof("Shutdown") - 1 ? NULL : "matched";
}

static const char *typed_wrong(const void *data)
{
    const struct console_keys *keys = data;

    return keys->count <= sizeof(keys->key) ? NULL : "count";
}

static const char *nothing_wrong(const void *data)
{
    (void)data;
    return NULL;
}

struct device_section {
    const char *name;
    size_t offset, size;
    const char *(*wrong)(const void *data);
};

#define DEVICE(name, field, wrong)                                                                 \
    {                                                                                              \
        name, offsetof(struct machine, field), sizeof(((struct machine *)0)->field), wrong         \
    }
static const struct device_section device_sections[] = {
    DEVICE("com1", com[0], uart_wrong),
    DEVICE("com2", com[1], uart_wrong),
    DEVICE("cmos", cmos, cmos_wrong),
    DEVICE("pm1", pm1_enable, nothing_wrong),
    DEVICE("lines", lines, nothing_wrong),
    DEVICE("shutdown-port", shutdown_matched, shutdown_wrong),
    DEVICE("typed", typed, typed_wrong),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A section's `where`: whose it is, and its place in that table. */
enum owner { OF_VM, OF_DEVICES, OF_VCPU, OF_BUS };
enum {
    BUS_BRIDGE = BUS_DEVICES
}; /* of OF_BUS: behind the slots, which are empty sections or not */
#define STATE_NONE UINT64_MAX
#define STATE_ALL (UINT64_MAX - 1)

static uint64_t place(enum owner owner, unsigned vcpu, unsigned section)
{
    return (uint64_t)vcpu << 32 | (uint64_t)owner << 16 | section;
}

static bool failed(struct stream *s, const char *section, unsigned vcpu)
{
    snprintf(s->error, sizeof(s->error), "%s: vCPU %u: %s: %s", s->name, vcpu, section,
             strerror(errno));
    return false;
}

/* All that KVM names and has. The TSC of all vCPUs is brought to one moment: first. */
static bool read_msrs(const struct machine *m, const struct vcpu *v, uint64_t first,
                      struct msr_table *t)
{
    struct {
        struct kvm_msr_list head;
        uint32_t index[MAX_MSRS];
    } list = {.head.nmsrs = MAX_MSRS};

    if (ioctl(m->kvm_fd, KVM_GET_MSR_INDEX_LIST, &list) < 0)
        return false;
    memset(t, 0, sizeof(*t));
    for (uint32_t i = 0; i < list.head.nmsrs; i++) {
        struct kvm_msr_entry *e = &t->entry[t->head.nmsrs];
        struct {
            struct kvm_msrs head;
            struct kvm_msr_entry entry;
        } one = {.head.nmsrs = 1, .entry.index = list.index[i]};
        int n = ioctl(v->fd, KVM_GET_MSRS, &one);
        if (n < 0)
            return false;
        if (n == 1) {
            *e = one.entry;
            t->head.nmsrs++;
            e->data -= e->index == MSR_TSC ? __rdtsc() - first : 0;
        }
    }
    return true;
}

static void write_msrs(struct vcpu *v, const struct stream *s, uint64_t first, struct msr_table *t)
{
    if (t->head.nmsrs > MAX_MSRS)
        stream_bad(s, "vCPU %u: msrs: nmsrs %u is above %u", v->id, t->head.nmsrs, MAX_MSRS);
    for (uint32_t i = 0; i < t->head.nmsrs; i++)
        t->entry[i].data += t->entry[i].index == MSR_TSC ? __rdtsc() - first : 0;
    int n = ioctl(v->fd, KVM_SET_MSRS, &t->head);
    if (n < 0)
        die_errno("%s: vCPU %u: msrs", s->name, v->id);
    if ((uint32_t)n < t->head.nmsrs)
        stream_bad(s, "vCPU %u: msrs: MSR 0x%x: 0x%llx is refused", v->id, t->entry[n].index,
                   (unsigned long long)t->entry[n].data);
}

static bool save_kvm(struct stream *s, int fd, const struct kvm_section *k, uint64_t where)
{
    union kvm_structure u;

    memset(&u, 0, sizeof(u));
    if (k->get == KVM_GET_IRQCHIP)
        u.chip.chip_id = k->chip;
    if (k->get == KVM_GET_CPUID2)
        u.cpuid.head.nent = MAX_CPUID;
    if (ioctl(fd, k->get, &u) < 0)
        return failed(s, k->name, (unsigned)(where >> 32));
    return stream_put(s, RECORD_SECTION, where, &u, k->size);
}

static bool save_vcpu(struct machine *m, struct stream *s, const struct vcpu *v, uint64_t first)
{
    struct msr_table msrs;

    for (unsigned i = 0; i < COUNT(vcpu_sections); i++) {
        const struct kvm_section *k = &vcpu_sections[i];
        uint64_t where = place(OF_VCPU, v->id, i);
        if (k->get) {
            if (!save_kvm(s, v->fd, k, where))
                return false;
            continue;
        }
        if (!read_msrs(m, v, first, &msrs))
            return failed(s, k->name, v->id);
        if (!stream_put(s, RECORD_SECTION, where, &msrs, sizeof(msrs)))
            return false;
    }
    return true;
}

void state_expect(struct machine *m)
{
    m->loaded = STATE_NONE;
}

static bool save_bus(const struct machine *m, struct stream *s)
{
    struct saved_slot slot;
    struct saved_bridge bridge = bus_save_bridge(&m->bus);

    for (unsigned i = 0; i < BUS_DEVICES; i++) {
        const char *wrong = bus_save_slot(&m->bus, i, &slot);
        if (wrong) {
            snprintf(s->error, sizeof(s->error), "%s: virtio %s: %s", m->name,
                     m->bus.device[i].type->name, wrong);
            return false;
        }
        if (!stream_put(s, RECORD_SECTION, place(OF_BUS, 0, i), &slot, slot.id ? sizeof(slot) : 0))
            return false;
    }
    return stream_put(s, RECORD_SECTION, place(OF_BUS, 0, BUS_BRIDGE), &bridge, sizeof(bridge));
}

bool state_save(struct machine *m, struct stream *s)
{
    uint64_t first = __rdtsc();

    m->typed = console_save();
    for (unsigned i = 0; i < COUNT(vm_sections); i++) {
        if (!save_kvm(s, m->vm_fd, &vm_sections[i], place(OF_VM, 0, i)))
            return false;
    }
    for (unsigned i = 0; i < COUNT(device_sections); i++) {
        const struct device_section *d = &device_sections[i];
        if (!stream_put(s, RECORD_SECTION, place(OF_DEVICES, 0, i), (char *)m + d->offset, d->size))
            return false;
    }
    if (!save_bus(m, s))
        return false;
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        if (!save_vcpu(m, s, &m->vcpu[i], first))
            return false;
    }
    return true;
}

/* Sections come in the tables' order: the one that must come after the last. */
static uint64_t next_place(const struct machine *m, uint64_t last)
{
    unsigned vcpu = (unsigned)(last >> 32), owner = last >> 16 & 0xffff, section = last & 0xffff;

    if (last == STATE_NONE)
        return place(OF_VM, 0, 0);
    section++;
    if (owner == OF_VM && section == COUNT(vm_sections))
        return place(OF_DEVICES, 0, 0);
    if (owner == OF_DEVICES && section == COUNT(device_sections))
        return place(OF_BUS, 0, 0);
    if (owner == OF_BUS && section > BUS_BRIDGE)
        return place(OF_VCPU, 0, 0);
    if (owner == OF_VCPU && section == COUNT(vcpu_sections))
        return vcpu + 1 < m->vcpu_count ? place(OF_VCPU, vcpu + 1, 0) : STATE_ALL;
    return place((enum owner)owner, vcpu, section);
}

static void check_size(const struct stream *s, const char *name, size_t size)
{
    if (s->record.size != size)
        stream_bad(s, "%s: size %u, not %zu", name, s->record.size, size);
}

static void check_cpuid(const struct stream *s, const struct vcpu *v, const struct kvm_cpuid2 *c)
{
    struct cpuid_lack lack;

    check_size(s, "cpuid", sizeof(struct cpuid_table));
    if (c->nent > MAX_CPUID)
        stream_bad(s, "cpuid: nent %u is above %u", c->nent, MAX_CPUID);
    if (machine_lacks(v, c, &lack))
        stream_bad(s, "cpuid: leaf 0x%x.%u: %s: this machine lacks 0x%x", lack.function, lack.index,
                   lack.name, lack.bits);
}

static void load_kvm(const struct stream *s, int fd, const struct kvm_section *k)
{
    union kvm_structure u;

    check_size(s, k->name, k->size);
    memcpy(&u, s->data, k->size);
    if (k->set == KVM_SET_IRQCHIP && u.chip.chip_id != k->chip)
        stream_bad(s, "%s: chip_id %u, not %u", k->name, u.chip.chip_id, k->chip);
    if (k->set == KVM_SET_CLOCK)
        u.bytes[offsetof(struct kvm_clock_data, flags)] = 0; /* time stood still meanwhile */
    if (ioctl(fd, k->set, &u) < 0)
        stream_bad(s, "%s: refused: %s", k->name, strerror(errno));
}

static void load_vcpu(struct vcpu *v, const struct stream *s, unsigned section)
{
    static uint64_t first;
    struct msr_table msrs;

    if (!first)
        first = __rdtsc();
    if (vcpu_sections[section].set == KVM_SET_CPUID2)
        check_cpuid(s, v, (const void *)s->data);
    if (vcpu_sections[section].set) {
        load_kvm(s, v->fd, &vcpu_sections[section]);
        if (vcpu_sections[section].set == KVM_SET_SREGS)
            v->run->cr8 = ((const struct kvm_sregs *)(const void *)s->data)->cr8;
        return;
    }
    check_size(s, "msrs", sizeof(msrs));
    memcpy(&msrs, s->data, sizeof(msrs));
    write_msrs(v, s, first, &msrs);
}

static void load_device(struct machine *m, const struct stream *s, const struct device_section *d)
{
    int out = m->com[0].fd, err = m->com[1].fd;

    check_size(s, d->name, d->size);
    const char *wrong = d->wrong(s->data);
    if (wrong)
        stream_bad(s, "%s: %s is out of range", d->name, wrong);
    memcpy((char *)m + d->offset, s->data, d->size);
    m->com[0].fd = out;
    m->com[1].fd = err;
}

static void load_bus(struct machine *m, const struct stream *s, unsigned section)
{
    struct saved_slot slot = {.id = 0};
    struct saved_bridge bridge;
    const char *wrong;
    char name[16];

    snprintf(name, sizeof(name), "slot %u", section + 1);
    if (section == BUS_BRIDGE) {
        check_size(s, "bridge", sizeof(bridge));
        memcpy(&bridge, s->data, sizeof(bridge));
        wrong = bus_load_bridge(&m->bus, &bridge);
    } else {
        if (s->record.size)
            check_size(s, name, sizeof(slot));
        memcpy(&slot, s->data, s->record.size);
        wrong = bus_load_slot(m, section, &slot);
    }
    if (wrong)
        stream_bad(s, "%s: %s", section == BUS_BRIDGE ? "bridge" : name, wrong);
}

void state_load_section(struct machine *m, struct stream *s)
{
    uint64_t where = s->record.where, expected = next_place(m, m->loaded);

    if (expected == STATE_ALL || where != expected)
        stream_bad(s, "section 0x%llx, not 0x%llx", (unsigned long long)where,
                   (unsigned long long)expected);
    m->loaded = where;
    unsigned section = where & 0xffff;
    if ((where >> 16 & 0xffff) == OF_VM)
        load_kvm(s, m->vm_fd, &vm_sections[section]);
    else if ((where >> 16 & 0xffff) == OF_DEVICES)
        load_device(m, s, &device_sections[section]);
    else if ((where >> 16 & 0xffff) == OF_BUS)
        load_bus(m, s, section);
    else
        load_vcpu(&m->vcpu[where >> 32], s, section);
}

void state_loaded(struct machine *m, const struct stream *s)
{
    if (next_place(m, m->loaded) != STATE_ALL)
        stream_bad(s, "end: sections after 0x%llx are missing", (unsigned long long)m->loaded);
    console_load(&m->typed);
}
