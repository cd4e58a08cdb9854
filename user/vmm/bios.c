/* BIOS services by exit. */
#include "user/vmm/bios.h"

#include <string.h>
#include <sys/ioctl.h>

#include "user/vmm/say.h"

enum { SEGMENT = 0xe000, STUB_SIZE = 4, VECTORS = 256, RANGE_SIZE = 20 };
enum { FLAG_CARRY = 1, FLAG_ZERO = 0x40, UNSUPPORTED = 0x86 };
#define SMAP 0x534d4150u

void bios_put(uint8_t *ram)
{
    const uint8_t stub[STUB_SIZE] = {0xe6, BIOS_PORT, 0xcf, 0x90}; /* OUT imm8, AL; IRET; NOP */

    for (uint32_t i = 0; i < VECTORS; i++) {
        uint16_t vector[2] = {(uint16_t)(i * STUB_SIZE), SEGMENT};
        memcpy(ram + 4 * i, vector, sizeof(vector));
        memcpy(ram + SEGMENT * 16 + i * STUB_SIZE, stub, sizeof(stub));
    }
}

static void set_low(unsigned long long *reg, uint64_t mask, uint64_t value)
{
    *reg = (*reg & ~mask) | value;
}

/* INT 15h, E820: EBX is the index of the range, ES:DI where it goes. */
static bool memory_range(struct machine *m, struct kvm_regs *r, uint64_t es_base)
{
    struct memory_range map[MEMORY_RANGES];
    unsigned count = boot_memory_map(m->ram_size, map), i = (uint32_t)r->rbx;
    uint64_t at = es_base + (r->rdi & 0xffff);

    if ((uint32_t)r->rdx != SMAP || i >= count || at + RANGE_SIZE > HOLE_START)
        return false;
    memcpy(m->ram + at, &map[i], RANGE_SIZE);
    guest_wrote(machine_memory(m), m->ram + at, RANGE_SIZE);
    r->rax = SMAP;
    r->rcx = RANGE_SIZE;
    r->rbx = i + 1 < count ? i + 1 : 0;
    return true;
}

static bool memory_service(struct machine *m, struct kvm_regs *r, uint64_t es_base)
{
    uint64_t above_kib = m->ram_size / 1024 - 1024;

    if ((r->rax & 0xffff) == 0xe820)
        return memory_range(m, r, es_base);
    if ((r->rax & 0xff00) != 0x8800)
        return false;
    set_low(&r->rax, 0xffff, above_kib > 0xfc00 ? 0xfc00 : above_kib);
    return true;
}

void bios_call(struct vcpu *v)
{
    struct machine *m = v->m;
    struct kvm_regs r;
    struct kvm_sregs s;
    bool done = false;

    if (ioctl(v->fd, KVM_GET_REGS, &r) < 0 || ioctl(v->fd, KVM_GET_SREGS, &s) < 0)
        die_errno("KVM_GET_REGS");
    uint64_t flags_at = s.ss.base + ((r.rsp + 4) & 0xffff);
    unsigned vector = (r.rip & 0xffff) / STUB_SIZE;
    if (s.cs.selector != SEGMENT || vector >= VECTORS || flags_at + 2 > HOLE_START)
        return;
    if (vector == 0x15) {
        done = memory_service(m, &r, s.es.base);
    } else if (vector == 0x10 && (r.rax & 0xff00) == 0x0e00) {
        uart_write(&m->com[0], 0, (uint8_t)r.rax);
        done = true;
    }
    if (!done)
        set_low(&r.rax, 0xff00, UNSUPPORTED << 8);
    /* The flags that IRET will load; INT 16h says by ZF that no key waits. */
    m->ram[flags_at] = (uint8_t)((m->ram[flags_at] & ~FLAG_CARRY) | FLAG_ZERO | !done);
    guest_wrote(machine_memory(m), m->ram + flags_at, 1);
    if (ioctl(v->fd, KVM_SET_REGS, &r) < 0)
        die_errno("KVM_SET_REGS");
}
