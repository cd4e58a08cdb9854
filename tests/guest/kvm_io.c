/* Port I/O exits: every size, both directions, string forms, and what a read leaves in the
 * register. */
#include "tests/guest/kvm_lib.h"

enum { MAX_LOG = 64 };

/* Everything the guest did at ports, one item at a time: an exit may carry several. */
struct port_log {
    unsigned n;
    struct {
        uint16_t port;
        uint8_t size;
        bool out;
        uint32_t value;
    } item[MAX_LOG];
};

/* What the guest reads: 0xc3c2c1c0, then 0xc4c4c4c4 + that ... distinct for each item. */
static uint32_t input(unsigned n)
{
    return 0xc3c2c1c0u + n * 0x04040404u;
}

static void record(struct vm *v, struct port_log *log)
{
    uint8_t *data = (uint8_t *)v->run + v->run->io.data_offset;
    unsigned inputs = 0;

    for (unsigned i = 0; i < log->n; i++)
        inputs += !log->item[i].out;
    for (uint32_t i = 0; i < v->run->io.count && log->n < MAX_LOG; i++, data += v->run->io.size) {
        uint32_t value = input(inputs);
        bool out = v->run->io.direction == KVM_EXIT_IO_OUT;
        log->item[log->n].port = v->run->io.port;
        log->item[log->n].size = v->run->io.size;
        log->item[log->n].out = out;
        log->item[log->n].value = 0;
        if (out)
            memcpy(&log->item[log->n].value, data, v->run->io.size);
        else
            memcpy(data, &value, v->run->io.size);
        inputs += !out;
        log->n++;
    }
}

static struct port_log run_logged(struct vm *v)
{
    struct port_log log = {0};

    while (run(v) == KVM_EXIT_IO)
        record(v, &log);
    CHECK_EQ(v->run->exit_reason, KVM_EXIT_HLT);
    return log;
}

static void expect_item(const struct port_log *log, unsigned i, unsigned port, unsigned size,
                        bool out, uint32_t value)
{
    CHECK(i < log->n);
    if (i >= log->n)
        return;
    CHECK_EQ(log->item[i].port, port);
    CHECK_EQ(log->item[i].size, size);
    CHECK_EQ(log->item[i].out, out);
    if (out)
        CHECK_EQ(log->item[i].value, value);
}

GUEST_CODE(outs, 64,
           "mov $0x11223344, %eax\n"
           "out %al, $0x10; out %ax, $0x12; out %eax, $0x14\n"
           "mov $0xabcd, %edx; out %al, %dx; out %ax, %dx; out %eax, %dx\n"
           "mov $0xffff, %edx; out %al, %dx; out %eax, %dx; hlt");

TEST(out_gives_port_size_and_value)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, outs);
    start_64(&v);
    struct port_log log = run_logged(&v);
    CHECK_EQ(log.n, 8);
    expect_item(&log, 0, 0x10, 1, true, 0x44);
    expect_item(&log, 1, 0x12, 2, true, 0x3344);
    expect_item(&log, 2, 0x14, 4, true, 0x11223344);
    expect_item(&log, 3, 0xabcd, 1, true, 0x44);
    expect_item(&log, 4, 0xabcd, 2, true, 0x3344);
    expect_item(&log, 5, 0xabcd, 4, true, 0x11223344);
    expect_item(&log, 6, 0xffff, 1, true, 0x44);
    expect_item(&log, 7, 0xffff, 4, true, 0x11223344);
    vm_close(&v);
}

GUEST_CODE(ins, 64,
           "mov $-1, %rax; in $0x20, %al; mov %rax, %r8\n"
           "mov $-1, %rax; in $0x21, %ax; mov %rax, %r9\n"
           "mov $-1, %rax; in $0x22, %eax; mov %rax, %r10\n"
           "mov $0x3f8, %edx; in %dx, %al; in %dx, %ax; in %dx, %eax; mov %rax, %r11; hlt");

TEST(in_changes_as_much_of_rax_as_the_processor_would)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, ins);
    start_64(&v);
    struct port_log log = run_logged(&v);
    struct kvm_regs r = get_regs(&v);
    CHECK_EQ(log.n, 6);
    expect_item(&log, 0, 0x20, 1, false, 0);
    expect_item(&log, 1, 0x21, 2, false, 0);
    expect_item(&log, 2, 0x22, 4, false, 0);
    expect_item(&log, 5, 0x3f8, 4, false, 0);
    CHECK_EQ(r.r8, 0xffffffffffffff00 | (uint8_t)input(0));
    CHECK_EQ(r.r9, 0xffffffffffff0000 | (uint16_t)input(1));
    CHECK_EQ(r.r10, input(2)); /* a 32-bit write clears the upper half */
    CHECK_EQ(r.r11, input(5));
    vm_close(&v);
}

GUEST_CODE(string_out, 32,
           "mov $0x20000, %esi; mov $0x50, %edx; mov $5, %ecx; cld; rep outsb\n"
           "mov %ecx, %ebx; mov %esi, %edi\n"
           "mov $0x20000, %esi; mov $3, %ecx; rep outsw\n"
           "mov $0x20000, %esi; outsl\n"
           "mov $0x20004, %esi; mov $2, %ecx; std; rep outsl; cld\n"
           "xor %ecx, %ecx; rep outsb; hlt");

TEST(string_output_sends_items_in_order)
{
    struct vm v = vm_open(RAM);
    const uint8_t text[] = "ABCDEFGH";

    LOAD(&v, string_out);
    start_32(&v);
    memcpy(v.mem + 0x20000, text, 8);
    struct port_log log = run_logged(&v);
    struct kvm_regs r = get_regs(&v);
    CHECK_EQ(log.n, 5 + 3 + 1 + 2);
    for (unsigned i = 0; i < 5; i++)
        expect_item(&log, i, 0x50, 1, true, text[i]);
    for (unsigned i = 0; i < 3; i++)
        expect_item(&log, 5 + i, 0x50, 2, true, text[2 * i] | (uint32_t)text[2 * i + 1] << 8);
    expect_item(&log, 8, 0x50, 4, true, 0x44434241);
    expect_item(&log, 9, 0x50, 4, true, 0x48474645);
    expect_item(&log, 10, 0x50, 4, true, 0x44434241);
    CHECK_EQ(r.rbx, 0);
    CHECK_EQ(r.rdi, 0x20005);
    CHECK_EQ(r.rsi, 0x1fffc);
    vm_close(&v);
}

GUEST_CODE(string_in, 32,
           "mov $0x20000, %edi; mov $0x51, %edx; mov $4, %ecx; cld; rep insb\n"
           "mov $0x20ffe, %edi; mov $2, %ecx; rep insw\n" /* across a page's end */
           "mov $0x20100, %edi; insl; hlt");

TEST(string_input_fills_memory)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, string_in);
    start_32(&v);
    struct port_log log = run_logged(&v);
    CHECK_EQ(log.n, 4 + 2 + 1);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(v.mem[0x20000 + i], (uint8_t)input(i));
    CHECK_EQ(v.mem[0x20004], 0);
    CHECK_EQ(*(uint16_t *)(v.mem + 0x20ffe), (uint16_t)input(4));
    CHECK_EQ(*(uint16_t *)(v.mem + 0x21000), (uint16_t)input(5));
    CHECK_EQ(*(uint32_t *)(v.mem + 0x20100), input(6));
    CHECK_EQ(get_regs(&v).rdi, 0x20104);
    CHECK_EQ(get_regs(&v).rcx, 0);
    vm_close(&v);
}

GUEST_CODE(
    real_string, 16,
    "mov $0x2000, %ax; mov %ax, %ds; mov $2, %si; mov $0x60, %dx; mov $3, %cx; rep outsb; hlt");

TEST(string_output_uses_the_segment_in_real_mode)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, real_string);
    start_real(&v);
    memcpy(v.mem + FREE, "xxabc", 5);
    struct port_log log = run_logged(&v);
    CHECK_EQ(log.n, 3);
    expect_item(&log, 0, 0x60, 1, true, 'a');
    expect_item(&log, 2, 0x60, 1, true, 'c');
    vm_close(&v);
}

GUEST_CODE(in_then_hlt, 64, "xor %eax, %eax; in $0x70, %al; mov %al, 0x20000; hlt");

TEST(immediate_exit_completes_the_read_and_stays_out)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, in_then_hlt);
    start_64(&v);
    CHECK_EQ(run(&v), KVM_EXIT_IO);
    *((uint8_t *)v.run + v.run->io.data_offset) = 0x77;
    v.run->immediate_exit = 1;
    CHECK_ERR(ioctl(v.vcpu, KVM_RUN, 0), EINTR);
    CHECK_EQ(get_regs(&v).rax, 0x77);
    CHECK_EQ(get_regs(&v).rip, CODE + 4); /* past the IN */
    CHECK_EQ(v.mem[0x20000], 0);
    CHECK_ERR(ioctl(v.vcpu, KVM_RUN, 0), EINTR);
    v.run->immediate_exit = 0;
    run_to_halt(&v);
    CHECK_EQ(v.mem[0x20000], 0x77);
    vm_close(&v);
}
