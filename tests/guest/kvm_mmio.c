/* MMIO exits: which accesses an instruction makes to memory that is in no slot, and what it does
 * with the answer. */
#include "tests/guest/kvm_lib.h"

enum { NOWHERE = 0x10000000, PAGE_END = 0x10000ffe };

/* One row: the guest sees rbx = NOWHERE, rsi = FREE, rdi = NOWHERE, rcx = 3, rax = RAX, and reads
 * bytes 11 22 33 44 55 66 77 88. */
#define RAX 0x7172737475767778
static const uint8_t answer[8] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};

struct access {
    char kind; /* r, w, or 0 at the end */
    uint8_t size;
    uint32_t offset; /* from NOWHERE */
    uint64_t value;  /* written */
};

struct row {
    const char *name;
    const uint8_t *code, *end;
    struct access access[8];
    uint64_t rax; /* afterwards */
};

#define ROW_CODE(n, text) GUEST_CODE(row_##n, 64, text "; hlt")

ROW_CODE(load8, "mov (%rbx), %al");
ROW_CODE(load16, "mov (%rbx), %ax");
ROW_CODE(load32, "mov (%rbx), %eax");
ROW_CODE(load64, "mov (%rbx), %rax");
ROW_CODE(load_ah, "mov (%rbx), %ah");
ROW_CODE(load_sib, "mov 0x10(%rbx,%rcx,4), %eax");
ROW_CODE(load_r9, "mov (%rbx), %r9; mov %r9, %rax");
ROW_CODE(load_abs, "movabs 0x10000020, %eax");
ROW_CODE(movzx8, "movzbl (%rbx), %eax");
ROW_CODE(movzx16, "movzwl (%rbx), %eax");
ROW_CODE(movsx8, "movsbq 7(%rbx), %rax");
ROW_CODE(movsx32, "movslq (%rbx), %rax");
ROW_CODE(store8, "mov %al, 3(%rbx)");
ROW_CODE(store16, "mov %ax, (%rbx)");
ROW_CODE(store32, "mov %eax, (%rbx)");
ROW_CODE(store64, "mov %rax, -8(%rbx)");
ROW_CODE(store_ah, "mov %ah, (%rbx)");
ROW_CODE(store_abs, "movabs %eax, 0x10000040");
ROW_CODE(imm8, "movb $0x5a, (%rbx)");
ROW_CODE(imm16, "movw $0x5a5b, (%rbx)");
ROW_CODE(imm32, "movl $0x5a5b5c5d, (%rbx)");
ROW_CODE(imm64, "movq $-2, (%rbx)");
ROW_CODE(add_to, "add %eax, (%rbx)");
ROW_CODE(or_imm, "orl $0x80, (%rbx)");
ROW_CODE(and_imm, "andb $0xf0, (%rbx)");
ROW_CODE(inc, "incl (%rbx)");
ROW_CODE(xor_from, "xor (%rbx), %eax");
ROW_CODE(sub_from, "sub (%rbx), %rax");
ROW_CODE(cmp_equal, "cmpb $0x11, (%rbx); sete %al; movzbl %al, %eax");
ROW_CODE(cmp_reg,
         "cmp %eax, (%rbx); setb %al; movzbl %al, %eax"); /* 0x44332211 is below 0x75767778 */
ROW_CODE(test, "testb $0x10, (%rbx); setne %al; movzbl %al, %eax");
ROW_CODE(xchg, "xchg %eax, (%rbx)");
ROW_CODE(stosb, "cld; stosb");
ROW_CODE(rep_stosl, "cld; rep stosl; mov %rdi, %rax");
ROW_CODE(movs_to, "cld; mov $2, %ecx; rep movsl; mov %rsi, %rax");
ROW_CODE(movs_from, "cld; xchg %rsi, %rdi; movsw; mov -2(%rdi), %ax");
ROW_CODE(lods, "cld; mov %rbx, %rsi; lodsl");

ROW_CODE(cmps, "cld; xchg %rsi, %rdi; movb $0x11, (%rdi); repe cmpsb; mov %rcx, %rax");
ROW_CODE(cmps_equal,
         "cld; movl $0x44332211, (%rsi); mov $1, %ecx; repe cmpsl; sete %al; movzbl %al, %eax");
ROW_CODE(scas, "cld; mov $0x44332211, %eax; repe scasl; mov %rcx, %rax");
ROW_CODE(scas_ne, "cld; mov $0x44332211, %eax; repne scasl; mov %rcx, %rax");
ROW_CODE(not, "notw (%rbx)");
ROW_CODE(neg, "negl (%rbx)");
ROW_CODE(bt, "bt $4, (%rbx); setc %al; movzbl %al, %eax");
ROW_CODE(bts, "btsl %ecx, (%rbx); setc %al; movzbl %al, %eax");
ROW_CODE(btr, "lock btrl $4, (%rbx); setc %al; movzbl %al, %eax");
ROW_CODE(btc, "btcq $63, (%rbx); setc %al; movzbl %al, %eax");
ROW_CODE(xadd, "lock xadd %eax, (%rbx)");
ROW_CODE(cmpxchg, "mov $0x44332211, %eax; lock cmpxchg %ecx, (%rbx); setz %al");
ROW_CODE(cmpxchg_other, "cmpxchg %cl, (%rbx)");

#define CODE_OF(n) #n, row_##n, row_##n##_end
static const struct row rows[] = {
    {CODE_OF(load8), {{'r', 1, 0, 0}}, (RAX & ~0xffull) | 0x11},
    {CODE_OF(load16), {{'r', 2, 0, 0}}, (RAX & ~0xffffull) | 0x2211},
    {CODE_OF(load32), {{'r', 4, 0, 0}}, 0x44332211},
    {CODE_OF(load64), {{'r', 8, 0, 0}}, 0x8877665544332211},
    {CODE_OF(load_ah), {{'r', 1, 0, 0}}, (RAX & ~0xff00ull) | 0x1100},
    {CODE_OF(load_sib), {{'r', 4, 0x1c, 0}}, 0x44332211},
    {CODE_OF(load_r9), {{'r', 8, 0, 0}}, 0x8877665544332211},
    {CODE_OF(load_abs), {{'r', 4, 0x20, 0}}, 0x44332211},
    {CODE_OF(movzx8), {{'r', 1, 0, 0}}, 0x11},
    {CODE_OF(movzx16), {{'r', 2, 0, 0}}, 0x2211},
    {CODE_OF(movsx8), {{'r', 1, 7, 0}}, 0x11},
    {CODE_OF(movsx32), {{'r', 4, 0, 0}}, 0x44332211},
    {CODE_OF(store8), {{'w', 1, 3, 0x78}}, RAX},
    {CODE_OF(store16), {{'w', 2, 0, 0x7778}}, RAX},
    {CODE_OF(store32), {{'w', 4, 0, 0x75767778}}, RAX},
    {CODE_OF(store64), {{'w', 8, (uint32_t)-8, RAX}}, RAX},
    {CODE_OF(store_ah), {{'w', 1, 0, 0x77}}, RAX},
    {CODE_OF(store_abs), {{'w', 4, 0x40, 0x75767778}}, RAX},
    {CODE_OF(imm8), {{'w', 1, 0, 0x5a}}, RAX},
    {CODE_OF(imm16), {{'w', 2, 0, 0x5a5b}}, RAX},
    {CODE_OF(imm32), {{'w', 4, 0, 0x5a5b5c5d}}, RAX},
    {CODE_OF(imm64), {{'w', 8, 0, (uint64_t)-2}}, RAX},
    {CODE_OF(add_to), {{'r', 4, 0, 0}, {'w', 4, 0, 0x75767778u + 0x44332211u}}, RAX},
    {CODE_OF(or_imm), {{'r', 4, 0, 0}, {'w', 4, 0, 0x44332291}}, RAX},
    {CODE_OF(and_imm), {{'r', 1, 0, 0}, {'w', 1, 0, 0x10}}, RAX},
    {CODE_OF(inc), {{'r', 4, 0, 0}, {'w', 4, 0, 0x44332212}}, RAX},
    {CODE_OF(xor_from), {{'r', 4, 0, 0}}, 0x75767778u ^ 0x44332211u},
    {CODE_OF(sub_from), {{'r', 8, 0, 0}}, RAX - 0x8877665544332211},
    {CODE_OF(cmp_equal), {{'r', 1, 0, 0}}, 1},
    {CODE_OF(cmp_reg), {{'r', 4, 0, 0}}, 1},
    {CODE_OF(test), {{'r', 1, 0, 0}}, 1},
    {CODE_OF(xchg), {{'r', 4, 0, 0}, {'w', 4, 0, 0x75767778}}, 0x44332211},
    {CODE_OF(stosb), {{'w', 1, 0, 0x78}}, RAX},
    {CODE_OF(rep_stosl),
     {{'w', 4, 0, 0x75767778}, {'w', 4, 4, 0x75767778}, {'w', 4, 8, 0x75767778}},
     NOWHERE + 12},
    {CODE_OF(movs_to), {{'w', 4, 0, 0x04030201}, {'w', 4, 4, 0x08070605}}, FREE + 8},
    {CODE_OF(movs_from), {{'r', 2, 0, 0}}, (RAX & ~0xffffull) | 0x2211},
    {CODE_OF(lods), {{'r', 4, 0, 0}}, 0x44332211},
    {CODE_OF(cmps_equal), {{'r', 4, 0, 0}}, 1},
    {CODE_OF(cmps), {{'r', 1, 0, 0}, {'r', 1, 1, 0}}, 1},
    {CODE_OF(scas), {{'r', 4, 0, 0}, {'r', 4, 4, 0}, {'r', 4, 8, 0}}, 0},
    {CODE_OF(scas_ne), {{'r', 4, 0, 0}}, 2},
    {CODE_OF(not ), {{'r', 2, 0, 0}, {'w', 2, 0, 0xddee}}, RAX},
    {CODE_OF(neg), {{'r', 4, 0, 0}, {'w', 4, 0, 0xbbccddef}}, RAX},
    {CODE_OF(bt), {{'r', 4, 0, 0}}, 1},
    {CODE_OF(bts), {{'r', 4, 0, 0}, {'w', 4, 0, 0x44332219}}, 0},
    {CODE_OF(btr), {{'r', 4, 0, 0}, {'w', 4, 0, 0x44332201}}, 1},
    {CODE_OF(btc), {{'r', 8, 0, 0}, {'w', 8, 0, 0x0877665544332211}}, 1},
    {CODE_OF(xadd), {{'r', 4, 0, 0}, {'w', 4, 0, 0x75767778u + 0x44332211u}}, 0x44332211},
    {CODE_OF(cmpxchg), {{'r', 4, 0, 0}, {'w', 4, 0, 3}}, 0x44332201},
    {CODE_OF(cmpxchg_other), {{'r', 1, 0, 0}}, (RAX & ~0xffull) | 0x11},
};

/* Answers one exit; returns whether it was the access expected. */
static bool serve(struct vm *v, const struct access *want)
{
    uint64_t written = 0;
    bool write = v->run->mmio.is_write;

    if (write)
        memcpy(&written, v->run->mmio.data, v->run->mmio.len);
    else
        memcpy(v->run->mmio.data, answer, sizeof(answer));
    bool same = want->kind == (write ? 'w' : 'r') && want->size == v->run->mmio.len &&
                v->run->mmio.phys_addr == NOWHERE + (uint64_t)(int32_t)want->offset &&
                (!write || written == want->value);
    if (!same)
        printf("  got %c%u at 0x%llx value 0x%llx, expected %c%u at offset 0x%x value 0x%llx\n",
               write ? 'w' : 'r', v->run->mmio.len, (unsigned long long)v->run->mmio.phys_addr,
               (unsigned long long)written, want->kind ? want->kind : '-', want->size, want->offset,
               (unsigned long long)want->value);
    return same;
}

static bool run_row(struct vm *v, const struct row *row)
{
    unsigned n = 0;
    bool right = true;

    memcpy(v->mem + CODE, row->code, (size_t)(row->end - row->code));
    for (unsigned i = 0; i < 16; i++)
        v->mem[FREE + i] = (uint8_t)(i + 1);
    set_regs(v, (struct kvm_regs){.rip = CODE,
                                  .rsp = STACK,
                                  .rflags = 2,
                                  .rax = RAX,
                                  .rbx = NOWHERE,
                                  .rsi = FREE,
                                  .rdi = NOWHERE,
                                  .rcx = 3});
    while (run(v) == KVM_EXIT_MMIO && n < 7)
        right &= serve(v, &row->access[n++]);
    if (v->run->exit_reason != KVM_EXIT_HLT || row->access[n].kind) {
        printf("  after %u accesses: exit %u\n", n, v->run->exit_reason);
        return false;
    }
    if (get_regs(v).rax != row->rax) {
        printf("  rax 0x%llx, expected 0x%llx\n", get_regs(v).rax, (unsigned long long)row->rax);
        return false;
    }
    return right;
}

TEST(instructions_make_the_accesses_of_the_manual)
{
    struct vm v = vm_open(RAM);
    int wrong = 0;

    start_64(&v);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (!run_row(&v, &rows[i])) {
            printf("%s: row %s is wrong\n", __FILE__, rows[i].name);
            wrong++;
        }
    CHECK_EQ(wrong, 0);
    vm_close(&v);
}

GUEST_CODE(real_mmio, 16, "mov $0xa000, %ax; mov %ax, %ds; mov 0x10, %bx; mov %bl, 0x21; hlt");

TEST(real_mode_reaches_the_video_hole)
{
    struct vm v = vm_open(0xa0000);

    LOAD(&v, real_mmio);
    start_real(&v);
    run_to(&v, KVM_EXIT_MMIO);
    CHECK_EQ(v.run->mmio.phys_addr, 0xa0010);
    CHECK_EQ(v.run->mmio.len, 2);
    CHECK_EQ(v.run->mmio.is_write, 0);
    memcpy(v.run->mmio.data, answer, 8);
    run_to(&v, KVM_EXIT_MMIO);
    CHECK_EQ(v.run->mmio.phys_addr, 0xa0021);
    CHECK_EQ(v.run->mmio.is_write, 1);
    CHECK_EQ(v.run->mmio.data[0], 0x11);
    run_to_halt(&v);
    CHECK_EQ(get_regs(&v).rbx & 0xffff, 0x2211);
    vm_close(&v);
}

GUEST_CODE(paged_mmio, 32, "mov 0xfee00020, %eax; movl $7, 0xfee000b0; hlt");

TEST(paged_guests_see_the_physical_address)
{
    struct vm v = vm_open(RAM);
    uint32_t *directory = (uint32_t *)(v.mem + TABLES);

    LOAD(&v, paged_mmio);
    start_paged32(&v);
    directory[0xfee00000 >> 22] = 0xd0000083; /* another physical address */
    run_to(&v, KVM_EXIT_MMIO);
    CHECK_EQ(v.run->mmio.phys_addr, 0xd0200020);
    memcpy(v.run->mmio.data, answer, 8);
    run_to(&v, KVM_EXIT_MMIO);
    CHECK_EQ(v.run->mmio.phys_addr, 0xd02000b0);
    CHECK_EQ(v.run->mmio.data[0], 7);
    run_to_halt(&v);
    CHECK_EQ(get_regs(&v).rax, 0x44332211);
    vm_close(&v);
}

GUEST_CODE(fetch_nowhere, 64, "mov $0x10000000, %eax; jmp *%rax");

TEST(code_cannot_be_fetched_from_nowhere)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, fetch_nowhere);
    start_64(&v);
    int result = ioctl(v.vcpu, KVM_RUN, 0);
    CHECK(result < 0 || v.run->exit_reason == KVM_EXIT_INTERNAL_ERROR ||
          v.run->exit_reason == KVM_EXIT_MMIO);
    vm_close(&v);
}
