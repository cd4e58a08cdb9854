// Port I/O exits: KVM_EXIT_IO. As under KVM, RIP stays at IN and OUT until the VMM comes back; INS
// asks for as many items as fit, OUTS gives them one by one.

#include "hv/exits.h"

#include "kernel/lib/string.h"
#include "kernel/mm/frame.h"
#include "kernel/x86/cpu.h"
#include "kernel/x86/trap.h"

static u8 *io_data(struct vcpu *v)
{
    return page_to_virt(v->run_page[1]);
}

static int to_userspace(struct vcpu *v, u32 count)
{
    struct kvm_run *run = v->run;

    run->exit_reason = KVM_EXIT_IO;
    run->io.direction = v->exit.io.in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
    run->io.size = v->exit.io.size;
    run->io.port = v->exit.io.port;
    run->io.count = count;
    run->io.data_offset = PAGE_SIZE;
    return 0;
}

static u64 address_mask(unsigned size)
{
    return size == 8 ? ~0UL : (1UL << (8 * size)) - 1;
}

// A register's part that the address size names changes; 32-bit writes clear the upper half, as the
// CPU's do.
static void add_to_register(struct vcpu *v, enum gpr reg, s64 delta)
{
    u64 mask = address_mask(v->exit.io.address_size), value = (v->reg[reg] + delta) & mask;

    v->reg[reg] = v->exit.io.address_size == 2 ? (v->reg[reg] & ~mask) | value : value;
}

// Counts `items` as moved: index register, rCX, and RIP when it was the last.
static void string_progress(struct vcpu *v, enum gpr index, u32 items)
{
    s64 step = (s64)items * v->exit.io.size;

    add_to_register(v, index, v->rflags & RFLAGS_DF ? -step : step);
    if (v->exit.io.rep)
        add_to_register(v, RCX, -(s64)items);
    if (!v->exit.io.rep || !(v->reg[RCX] & address_mask(v->exit.io.address_size)))
        vcpu_advance(v, instruction_length(v));
}

// Completes what the CPU did not say about INS and OUTS: segment, and the length where it is
// missing.
static int decode_string(struct vcpu *v)
{
    struct hv_exit *x = &v->exit;
    struct decoded d;

    if (x->io.in)
        x->io.segment = SEGMENT_ES; // always
    if (x->io.segment != 0xff && x->length && x->io.address_size)
        return 0;
    int err = fetch_instruction(v, &d);
    if (err)
        return err;
    if (x->io.segment == 0xff)
        x->io.segment = d.segment == 0xff ? SEGMENT_DS : d.segment;
    if (!x->io.address_size)
        x->io.address_size = d.address_size; // QEMU's SVM does not say it
    x->length = d.prefixes + 1;
    return 0;
}

static int exit_string(struct vcpu *v)
{
    struct hv_exit *x = &v->exit;

    if (decode_string(v))
        return exit_internal_error(v, KVM_INTERNAL_ERROR_EMULATION, v->rip);
    u64 mask = address_mask(x->io.address_size), left = x->io.rep ? v->reg[RCX] & mask : 1;
    if (left == 0) {
        vcpu_advance(v, instruction_length(v));
        return RESUME;
    }
    enum gpr index = x->io.in ? RDI : RSI;
    u64 gva = segment_base(v, x->io.segment) + (v->reg[index] & mask), gpa;
    u32 error;
    if (gva_translate(v, gva, x->io.in, false, &gpa, &error)) {
        inject_page_fault(v, gva, error);
        return RESUME;
    }
    if (!x->io.in) {
        u32 item = 0;
        if (guest_read(v->vm, gpa, &item, x->io.size))
            return exit_internal_error(v, KVM_INTERNAL_ERROR_EMULATION, gpa);
        string_progress(v, RSI, 1);
        if (irqchip_port(v->vm, false, x->io.port, x->io.size, &item))
            return RESUME;
        memcpy(io_data(v), &item, x->io.size);
        return to_userspace(v, 1);
    }
    u32 item = 0;
    if (irqchip_port(v->vm, true, x->io.port, x->io.size, &item)) {
        if (guest_write(v->vm, gpa, &item, x->io.size))
            return exit_internal_error(v, KVM_INTERNAL_ERROR_EMULATION, gpa);
        string_progress(v, RDI, 1);
        return RESUME;
    }
    u64 in_page =
        v->rflags & RFLAGS_DF ? 1 : max(1UL, (PAGE_SIZE - (gva & ~PAGE_MASK)) / x->io.size);
    v->completion.kind = COMPLETE_IO;
    v->completion.exit = *x;
    v->completion.item_gva = gva;
    v->completion.count = min(left, in_page);
    return to_userspace(v, v->completion.count);
}

// What IN read, into AL, AX or EAX.
static void write_accumulator(struct vcpu *v, u32 value)
{
    u8 size = v->exit.io.size;

    v->reg[RAX] = size == 4 ? value : (v->reg[RAX] & ~address_mask(size)) | value;
}

int exit_io(struct vcpu *v)
{
    const struct hv_exit *x = &v->exit;
    u32 value = v->reg[RAX] & address_mask(x->io.size);

    if (x->io.string)
        return exit_string(v);
    if (irqchip_port(v->vm, x->io.in, x->io.port, x->io.size, &value)) {
        if (x->io.in)
            write_accumulator(v, value);
        vcpu_advance(v, instruction_length(v));
        return RESUME;
    }
    if (!x->io.in)
        *(u32 *)io_data(v) = value; // zeros above the port's size
    v->completion.kind = COMPLETE_IO;
    v->completion.exit = v->exit;
    v->completion.item_gva = v->rip;
    return to_userspace(v, 1);
}

// RIP moves on, unless the VMM has moved it.
static int complete_single(struct vcpu *v)
{
    if (v->exit.io.in) {
        u32 value = 0;
        memcpy(&value, io_data(v), v->exit.io.size);
        write_accumulator(v, value);
    }
    if (v->rip == v->completion.item_gva)
        vcpu_advance(v, instruction_length(v));
    return RESUME;
}

int complete_io(struct vcpu *v)
{
    v->exit = v->completion.exit;
    if (!v->exit.io.string)
        return complete_single(v);
    // No more items than the VMM has left in rCX.
    u64 count = v->completion.count, left = v->reg[RCX] & address_mask(v->exit.io.address_size);
    if (v->exit.io.rep)
        count = min(count, left);
    if (gva_write(v, v->completion.item_gva, io_data(v), count * v->exit.io.size))
        return exit_internal_error(v, KVM_INTERNAL_ERROR_EMULATION, v->completion.item_gva);
    string_progress(v, RDI, count);
    return RESUME;
}
