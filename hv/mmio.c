// MMIO exits: an access to guest-physical memory that no slot has, done for the guest one
// instruction at a time. KVM_EXIT_MMIO.

#include "hv/exits.h"

#include "hv/alu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/string.h"
#include "kernel/mm/slab.h"
#include "kernel/x86/cpu.h"

static u64 size_mask(unsigned size)
{
    return size == 8 ? ~0UL : (1UL << (8 * size)) - 1;
}

static u64 read_register(const struct vcpu *v, const struct decoded *d)
{
    return (v->reg[d->reg] >> (d->high_byte ? 8 : 0)) & size_mask(d->size);
}

// Widens a value of d->size bytes to the register, and writes it as the CPU would: 32-bit writes
// clear the upper half.
static void write_register(struct vcpu *v, const struct decoded *d, u64 value)
{
    unsigned shift = d->high_byte ? 8 : 0;

    if (d->sign_extend && d->size < 8 && (value >> (8 * d->size - 1) & 1))
        value |= ~size_mask(d->size);
    u64 mask = size_mask(d->reg_size);
    value &= mask;
    if (d->reg_size < 4)
        value = (v->reg[d->reg] & ~(mask << shift)) | value << shift;
    v->reg[d->reg] = value;
}

static u64 source_operand(const struct vcpu *v, const struct decoded *d)
{
    return (d->immediate ? d->imm : read_register(v, d)) & size_mask(d->size);
}

static int to_userspace(struct vcpu *v, bool write, u64 value, u8 size)
{
    struct kvm_run *run = v->run;

    run->exit_reason = KVM_EXIT_MMIO;
    run->mmio.phys_addr = v->exit.fault.gpa;
    run->mmio.len = size;
    run->mmio.is_write = write;
    memset(run->mmio.data, 0, sizeof(run->mmio.data));
    if (write)
        memcpy(run->mmio.data, &value, size);
    return 0;
}

// A write: to a chip in the kernel, or to user space.
static int put_out(struct vcpu *v, u64 value, u8 size)
{
    if (irqchip_mmio(v, true, v->exit.fault.gpa, size, &value))
        return RESUME;
    return to_userspace(v, true, value, size);
}

static void add_to_register(struct vcpu *v, const struct decoded *d, enum gpr reg, s64 delta)
{
    u64 mask = size_mask(d->address_size), value = (v->reg[reg] + delta) & mask;

    v->reg[reg] = d->address_size == 2 ? (v->reg[reg] & ~mask) | value : value;
}

// A string instruction: one item, and RIP stays while rCX, and what was compared, say that more are
// to come.
static void string_progress(struct vcpu *v, const struct decoded *d)
{
    s64 step = v->rflags & RFLAGS_DF ? -(s64)d->size : d->size;
    bool compares = d->op == OP_CMPS || d->op == OP_SCAS;

    if (d->op != OP_LODS)
        add_to_register(v, d, RDI, step);
    if (d->op != OP_STOS && d->op != OP_SCAS)
        add_to_register(v, d, RSI, step);
    if (d->rep)
        add_to_register(v, d, RCX, -1);
    if (!d->rep || !(v->reg[RCX] & size_mask(d->address_size)) ||
        (compares && d->repne == !!(v->rflags & RFLAGS_ZF)))
        vcpu_advance(v, d->length);
}

static int store(struct vcpu *v, const struct decoded *d)
{
    u64 value = source_operand(v, d);

    if (d->op == OP_STOS)
        string_progress(v, d);
    else
        vcpu_advance(v, d->length);
    return put_out(v, value, d->size);
}

// Guest-virtual addresses of the two operands of MOVS.
static u64 movs_address(struct vcpu *v, const struct decoded *d, bool source)
{
    u8 segment = !source ? SEGMENT_ES : d->segment == 0xff ? SEGMENT_DS : d->segment;

    return segment_base(v, segment) + (v->reg[source ? RSI : RDI] & size_mask(d->address_size));
}

// MOVS to a device reads guest memory now; MOVS from one is a load that complete_mmio finishes.
static int movs_to_device(struct vcpu *v, const struct decoded *d)
{
    u64 value = 0;

    if (gva_read(v, movs_address(v, d, true), &value, d->size, false))
        return exit_internal_error(v, KVM_INTERNAL_ERROR_EMULATION, v->exit.fault.gpa);
    string_progress(v, d);
    return put_out(v, value, d->size);
}

static int movs_from_device(struct vcpu *v, const struct decoded *d, u64 value)
{
    if (gva_write(v, movs_address(v, d, false), &value, d->size))
        return exit_internal_error(v, KVM_INTERNAL_ERROR_EMULATION, v->exit.fault.gpa);
    string_progress(v, d);
    return RESUME;
}

// CMPS reads twice; one of the two is the device.
static int cmps(struct vcpu *v, const struct decoded *d, u64 value)
{
    u64 source = movs_address(v, d, true), gpa, other = 0;
    u32 error;
    bool first = !gva_translate(v, source, false, false, &gpa, &error) && gpa == v->exit.fault.gpa;

    if (gva_read(v, first ? movs_address(v, d, false) : source, &other, d->size, false))
        return exit_internal_error(v, KVM_INTERNAL_ERROR_EMULATION, v->exit.fault.gpa);
    alu(ALU_SUB, first ? value : other, first ? other : value, d->size, &v->rflags);
    string_progress(v, d);
    return RESUME;
}

// What an operation on memory makes of its value.
static u64 modified(struct vcpu *v, const struct decoded *d, u64 value, u64 source)
{
    u64 bit = 1UL << (source & (8 * d->size - 1)), old = v->rflags, result;

    switch (d->op) {
    case OP_XCHG:
        write_register(v, d, value);
        return source;
    case OP_XADD:
        write_register(v, d, value);
        return alu(ALU_ADD, value, source, d->size, &v->rflags);
    case OP_INC: // ADD and SUB of one that leave CF alone
    case OP_DEC:
        result = alu(d->op == OP_INC ? ALU_ADD : ALU_SUB, value, 1, d->size, &v->rflags);
        v->rflags = (v->rflags & ~RFLAGS_CF) | (old & RFLAGS_CF);
        return result;
    case OP_NOT:
        return ~value & size_mask(d->size);
    case OP_NEG:
        return alu(ALU_SUB, 0, value, d->size, &v->rflags);
    case OP_BITS:
        v->rflags = (old & ~RFLAGS_CF) | (value & bit ? RFLAGS_CF : 0);
        return d->alu == 1 ? value | bit : d->alu == 2 ? value & ~bit : value ^ bit;
    default: // ALU_MEM
        return alu(d->alu, value, source, d->size, &v->rflags);
    }
}

static int compare_exchange(struct vcpu *v, const struct decoded *d, u64 value, u64 source)
{
    struct decoded accumulator = {.size = d->size, .reg_size = d->size, .reg = RAX};

    alu(ALU_SUB, read_register(v, &accumulator), value, d->size, &v->rflags);
    if (v->rflags & RFLAGS_ZF)
        return put_out(v, source, d->size);
    write_register(v, &accumulator, value);
    return RESUME;
}

// Finishes an instruction with the value read. An operation on memory now writes its result, in a
// second exit.
static int finish(struct vcpu *v, const struct decoded *d, u64 value)
{
    u64 source = source_operand(v, d);

    switch (d->op) {
    case OP_MOVS:
        return movs_from_device(v, d, value);
    case OP_CMPS:
        return cmps(v, d, value);
    case OP_LODS:
        write_register(v, d, value);
        string_progress(v, d);
        return RESUME;
    case OP_SCAS:
        alu(ALU_SUB, source, value, d->size, &v->rflags);
        string_progress(v, d);
        return RESUME;
    default:
        vcpu_advance(v, d->length);
    }
    switch (d->op) {
    case OP_LOAD:
        write_register(v, d, value);
        return RESUME;
    case OP_ALU_REG:
        write_register(v, d, alu(d->alu, source, value, d->size, &v->rflags));
        return RESUME;
    case OP_CMP:
        alu(ALU_SUB, d->mem_first ? value : source, d->mem_first ? source : value, d->size,
            &v->rflags);
        return RESUME;
    case OP_TEST:
        alu(ALU_AND, value, source, d->size, &v->rflags);
        return RESUME;
    case OP_BT:
        source &= 8 * d->size - 1;
        v->rflags = (v->rflags & ~RFLAGS_CF) | (value >> source & 1 ? RFLAGS_CF : 0);
        return RESUME;
    case OP_CMPXCHG:
        return compare_exchange(v, d, value, source);
    default:
        return put_out(v, modified(v, d, value, source), d->size);
    }
}

int exit_mmio(struct vcpu *v)
{
    struct decoded d;
    u64 value = 0;

    if (v->pending.valid) // the CPU's access, to deliver an event, and no instruction's
        return exit_internal_error(v, KVM_INTERNAL_ERROR_DELIVERY_EV, v->exit.fault.gpa);
    if (v->exit.fault.fetch || fetch_instruction(v, &d) || d.op == OP_OTHER)
        return exit_internal_error(v, KVM_INTERNAL_ERROR_EMULATION, v->exit.fault.gpa);
    if (d.op == OP_STORE || d.op == OP_STOS)
        return store(v, &d);
    if (d.op == OP_MOVS && v->exit.fault.write)
        return movs_to_device(v, &d);
    if (irqchip_mmio(v, false, v->exit.fault.gpa, d.size, &value))
        return finish(v, &d, value);
    if (!v->completion.insn)
        v->completion.insn = kmalloc(sizeof(d));
    if (!v->completion.insn)
        return -ENOMEM;
    *v->completion.insn = d;
    v->completion.kind = COMPLETE_MMIO;
    v->completion.exit = v->exit;
    return to_userspace(v, false, 0, d.size);
}

// The VMM has read for us.
int complete_mmio(struct vcpu *v)
{
    u64 value = 0;

    v->exit = v->completion.exit;
    memcpy(&value, v->run->mmio.data, v->completion.insn->size);
    return finish(v, v->completion.insn, value);
}
