/* Random guest code, random registers and random ioctls, from a seed (KVM_FUZZ_SEED, else 1): the
 * guest and the monitor may get anything but the host's harm. What is checked is that the kernel
 * lives, that each call comes back, and that a good VM still runs afterwards. KVM_FUZZ_ROUNDS
 * multiplies the work. */
#define LIMIT 50
#include "tests/guest/kvm_lib.h"

#include <signal.h>
#include <sys/time.h>

static uint64_t state;

static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static unsigned number(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 0) : otherwise;
}

static void seed(unsigned salt)
{
    state = (number("KVM_FUZZ_SEED", 1) * 0x9e3779b97f4a7c15ull) ^ salt ^ 0x123456789abcdefull;
}

static struct kvm_run *alarmed_run;
static void on_alarm(int signal)
{
    alarmed_run->immediate_exit = 1;
}

/* A run that a timer ends after a few milliseconds at the latest. */
static int short_run(struct vm *v)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {.it_value = {.tv_usec = 3000}}, off = {0};

    alarmed_run = v->run;
    v->run->immediate_exit = 0;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    int result = ioctl(v->vcpu, KVM_RUN, 0);
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0); /* kvm_run may be unmapped next */
    return result;
}

GUEST_CODE(good, 64, "mov $0x42, %al; out %al, $0x10; hlt");

static void check_host_lives(void)
{
    struct vm v = vm_open(RAM);

    LOAD(&v, good);
    start_64(&v);
    CHECK_EQ(run_to_out(&v, 0x10), 0x42);
    run_to_halt(&v);
    vm_close(&v);
}

/* Instructions that pure chance would find late, before what chance finds. */
static const char *const spices[] = {
    "\x0f\x01\xd8", "\x0f\x01\xda",
    "\x0f\x01\xdd", "\x0f\x01\xdf", /* vmrun vmload clgi invlpga */
    "\x0f\x22\xc0", "\x0f\x22\xd8",
    "\x0f\x22\xe0", "\x44\x0f\x22\xc0", /* mov to cr0 cr3 cr4 cr8 */
    "\x0f\x23\xf8", "\x0f\x23\xc0",
    "\x0f\x21\xf8", "\x0f\x30", /* mov dr, wrmsr */
    "\x0f\x32",     "\x0f\xa2",
    "\x0f\x05",     "\x0f\x07", /* rdmsr cpuid syscall sysret */
    "\xf3\x6e",     "\xf3\x6c",
    "\xf3\xa4",     "\xf3\xaa", /* rep outsb insb movsb stosb */
    "\x0f\x01\xc1", "\x0f\x01\xd9",
    "\x0f\x01\xd1", "\xcf", /* vmcall vmmcall xsetbv iret */
    "\xfb\xf4",     "\xcc",
    "\x8e\xd0",     "\x0f\x00\xd8", /* sti hlt, int3, mov ss, ltr */
    "\x86\x03",     "\x01\x03",
    "\xc6\x03\x11", "\x0f\xb6\x03", /* on [rbx], which may be nowhere */
};

static void fill_code(struct vm *v)
{
    for (unsigned i = 0; i < 256; i++)
        v->mem[CODE + i] = (uint8_t)rnd();
    for (unsigned i = 0; i < 200; i += 8 + rnd() % 24) {
        const char *spice = spices[rnd() % (sizeof(spices) / sizeof(spices[0]))];
        memcpy(v->mem + CODE + i, spice, strlen(spice));
    }
}

static uint64_t odd_value(void)
{
    static const uint64_t some[] = {0,          1,          CODE,           STACK,
                                    RAM - 4,    RAM,        0x10000000,     0xfee00000,
                                    0xc0000080, 0xc0000100, 0x7fffffffffff, 0x8000000000000000,
                                    UINT64_MAX};

    return rnd() % 4 ? some[rnd() % (sizeof(some) / sizeof(some[0]))] : rnd();
}

static void random_registers(struct vm *v)
{
    struct kvm_regs r = {.rip = CODE, .rflags = 2 | (rnd() & 0x200)};
    __u64 *const fields[] = {&r.rax, &r.rbx, &r.rcx, &r.rdx, &r.rsi, &r.rdi, &r.rbp, &r.r8, &r.r15};

    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        *fields[i] = odd_value();
    r.rsp = rnd() % 4 ? STACK : odd_value();
    ioctl(v->vcpu, KVM_SET_REGS, &r);
}

static void answer(struct vm *v)
{
    if (v->run->exit_reason == KVM_EXIT_MMIO || v->run->exit_reason == KVM_EXIT_IO)
        for (unsigned i = 0; i < 8; i++)
            v->run->mmio.data[i] = (uint8_t)rnd();
}

TEST(random_guest_code_stays_a_guest)
{
    void (*const starts[])(struct vm *) = {start_real, start_32, start_paged32, start_64};

    seed(1);
    for (unsigned round = 0; round < 30 * number("KVM_FUZZ_ROUNDS", 1); round++) {
        struct vm v = vm_open(RAM);
        set_supported_cpuid(&v);
        for (unsigned i = 0; i < 4; i++) {
            starts[i](&v);
            for (unsigned vector = 0; vector < 32; vector++)
                set_gate64(&v, vector, CODE + rnd() % 256);
            fill_code(&v);
            random_registers(&v);
            for (unsigned n = 0; n < 20 && short_run(&v) == 0; n++)
                answer(&v);
        }
        vm_close(&v);
    }
    check_host_lives();
}

static void *some_pointer(struct vm *v, void *buffer)
{
    void *const some[] = {NULL,   (void *)1, (void *)0x7ffffffff000, (void *)0xffff888000000000,
                          v->run, v->mem};

    return rnd() % 3 ? buffer : some[rnd() % (sizeof(some) / sizeof(some[0]))];
}

static void one_ioctl(struct vm *v, uint64_t *buffer, size_t words)
{
    static const unsigned long requests[] = {
        KVM_GET_API_VERSION,
        KVM_CREATE_VM,
        KVM_CHECK_EXTENSION,
        KVM_GET_VCPU_MMAP_SIZE,
        KVM_GET_SUPPORTED_CPUID,
        KVM_SET_USER_MEMORY_REGION,
        KVM_CREATE_VCPU,
        KVM_SET_TSS_ADDR,
        KVM_SET_IDENTITY_MAP_ADDR,
        KVM_GET_REGS,
        KVM_SET_REGS,
        KVM_GET_SREGS,
        KVM_SET_SREGS,
        KVM_SET_CPUID2,
        KVM_INTERRUPT,
        KVM_GET_MSRS,
        KVM_SET_MSRS,
        KVM_GET_FPU,
        KVM_SET_FPU,
        KVM_NMI,
        KVM_SET_SIGNAL_MASK,
        KVM_GET_MSR_INDEX_LIST,
    };
    const int fds[] = {v->kvm, v->vm, v->vcpu, v->vcpu};
    unsigned long request = requests[rnd() % (sizeof(requests) / sizeof(requests[0]))];

    for (size_t i = 0; i < words; i++)
        if (rnd() % 3)
            buffer[i] = odd_value();
    if (rnd() % 2)
        buffer[0] = rnd() % 6;
    int result = ioctl(fds[rnd() % 4], request, some_pointer(v, buffer));
    if (result > 2 && (request == KVM_CREATE_VM || request == KVM_CREATE_VCPU))
        close(result);
}

TEST(random_ioctls_come_back)
{
    static uint64_t buffer[1024];

    seed(2);
    for (unsigned round = 0; round < 10 * number("KVM_FUZZ_ROUNDS", 1); round++) {
        struct vm v = vm_open(RAM);
        start_64(&v);
        for (unsigned i = 0; i < 200; i++) {
            one_ioctl(&v, buffer, sizeof(buffer) / sizeof(buffer[0]));
            if (rnd() % 8 == 0) {
                ioctl(v.vcpu, KVM_SET_SIGNAL_MASK, NULL);
                short_run(&v);
                answer(&v);
            }
        }
        vm_close(&v);
    }
    check_host_lives();
}

/* A monitor that writes to kvm_run and to guest memory at any time, as another thread of it could.
 */
TEST(a_kvm_run_that_changes_under_way_is_survived)
{
    seed(3);
    for (unsigned round = 0; round < 100 * number("KVM_FUZZ_ROUNDS", 1); round++) {
        struct vm v = vm_open(RAM);
        start_64(&v);
        fill_code(&v);
        random_registers(&v);
        for (unsigned n = 0; n < 8 && short_run(&v) == 0; n++) {
            uint64_t *words = (uint64_t *)v.run;
            for (unsigned i = 0; i < 16; i++)
                words[rnd() % 256] = odd_value();
        }
        vm_close(&v);
    }
    check_host_lives();
}
