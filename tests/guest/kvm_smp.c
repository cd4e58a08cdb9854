/* Several vCPUs: INIT and start-up IPIs, interrupts between them, whoever sleeps or runs. */
#define LIMIT 50
#include "tests/guest/kvm_lib.h"

#include <pthread.h>
#include <signal.h>

enum {
    APIC = 0x30000 /* a table for the APICs' pages */,
    AP_CODE = 0x9000,
    MAX = 4,
    INTERRUPTED = 0x100
};

#define APIC_START "mov $0xfee00000, %ebp; movl $0x1ff, 0xf0(%rbp)\n"
#define EOI "movl $0, 0xb0(%rbp)\n"
#define SAY(text) "mov $" text ", %al; out %al, $0x10\n"
#define IPI(dest, low) "movl $" dest ", 0x310(%rbp); movl $" low ", 0x300(%rbp)\n"

/* Ends KVM_RUN, also one that is still to come. */
static struct kvm_run *stopped;

static void on_signal(int signal)
{
    (void)signal;
    if (stopped)
        stopped->immediate_exit = 1;
}

struct machine {
    struct vm v[MAX]; /* the first is whole; the others have a vCPU of their own */
    unsigned count;
};

/* vCPUs 1 and up wait for INIT, if nothing else is said. */
static struct machine open_machine(unsigned count, const uint8_t *code, const uint8_t *end)
{
    struct machine m = {.count = count};
    struct vm *v = &m.v[0];
    *v = vm_open_with(RAM, CHIPS);
    uint64_t *pdpt = (uint64_t *)(v->mem + TABLES + 0x1000);
    uint64_t *directory = (uint64_t *)(v->mem + APIC);

    load(v, code, end);
    start_64(v);
    pdpt[3] = APIC + 3;
    for (uint64_t i = 0; i < 512; i++)
        directory[i] = (3ull << 30 | i << 21) + 0x83;
    for (unsigned i = 0; i < 4; i++)
        set_gate64(v, 0x40 + i, CODE + 0x400 + 64 * i);
    set_gate64(v, 2, CODE + 0x500);
    for (unsigned i = 1; i < count; i++) {
        m.v[i] = *v;
        m.v[i].vcpu = ioctl(v->vm, KVM_CREATE_VCPU, i);
        CHECK(m.v[i].vcpu >= 0);
        m.v[i].run = mmap(NULL, (size_t)ioctl(v->kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
                          PROT_READ | PROT_WRITE, MAP_SHARED, m.v[i].vcpu, 0);
        CHECK(m.v[i].run != MAP_FAILED);
    }
    return m;
}
#define OPEN(count, name) open_machine(count, name, name##_end)

static unsigned mp_state(struct vm *v)
{
    struct kvm_mp_state s;

    CHECK_OK(ioctl(v->vcpu, KVM_GET_MP_STATE, &s));
    return s.mp_state;
}

/* An application processor in 64 bits at `entry`, with a stack of its own. */
static void start_ap_64(struct machine *m, unsigned i, uint64_t entry)
{
    struct kvm_mp_state s = {.mp_state = KVM_MP_STATE_RUNNABLE};

    CHECK_OK(ioctl(m->v[i].vcpu, KVM_SET_MP_STATE, &s));
    start_64(&m->v[i]);
    set_regs(&m->v[i], (struct kvm_regs){.rip = entry, .rsp = 0x3f000 - 0x1000 * i, .rflags = 2});
}

/* Runs a vCPU up to an OUT at port 0x10, whose byte is the result; KVM_RUN may ask to be called
 * again. */
static void *thread(void *arg)
{
    struct vm *v = arg;

    for (;;) {
        int result = ioctl(v->vcpu, KVM_RUN, 0);
        if (result < 0 && errno == EAGAIN)
            continue;
        if (result < 0 && errno == EINTR)
            return (void *)INTERRUPTED;
        CHECK_EQ(result, 0);
        CHECK_EQ(v->run->exit_reason, KVM_EXIT_IO);
        CHECK_EQ(v->run->io.port, 0x10);
        return (void *)(uintptr_t) * ((uint8_t *)v->run + v->run->io.data_offset);
    }
}

static pthread_t start(struct vm *v)
{
    pthread_t t;

    CHECK_OK(pthread_create(&t, NULL, thread, v));
    return t;
}

static unsigned end(pthread_t t)
{
    void *value;

    CHECK_OK(pthread_join(t, &value));
    return (unsigned)(uintptr_t)value;
}

/* To APIC 1: INIT, then a start-up IPI for the page at AP_CODE; a second one does nothing. */
#define START_1                                                                                    \
    IPI("1 << 24", "0xc500")                                                                       \
    IPI("1 << 24", "0x8500") IPI("1 << 24", "0x4609") IPI("1 << 24", "0x460a")

GUEST_CODE(starts_one, 64, APIC_START SAY("1") START_1 SAY("2") IPI("1 << 24", "0xc500") SAY("3"));
GUEST_CODE(ap_real, 16, "mov %cs, %ax; out %al, $0x10; mov %ah, %al; out %al, $0x10; 1: jmp 1b");

TEST(init_and_a_startup_ipi_start_a_processor)
{
    struct machine m = OPEN(2, starts_one);
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGUSR1, &action, NULL);
    memcpy(m.v[0].mem + AP_CODE, ap_real, (size_t)(ap_real_end - ap_real));
    CHECK_EQ(mp_state(&m.v[0]), KVM_MP_STATE_RUNNABLE);
    CHECK_EQ(mp_state(&m.v[1]), KVM_MP_STATE_UNINITIALIZED);
    pthread_t ap = start(&m.v[1]);
    CHECK_EQ(run_to_out(&m.v[0], 0x10), 1);
    CHECK_EQ(run_to_out(&m.v[0], 0x10), 2);
    CHECK_EQ(end(ap), 0);
    CHECK_EQ(end(start(&m.v[1])), 9);
    struct kvm_sregs s = get_sregs(&m.v[1]);
    CHECK_EQ(s.cs.selector, 0x900);
    CHECK_EQ(s.cs.base, 0x9000);
    CHECK_EQ(mp_state(&m.v[1]), KVM_MP_STATE_RUNNABLE);
    /* INIT takes a processor that runs out of what it does. */
    ap = start(&m.v[1]);
    CHECK_EQ(run_to_out(&m.v[0], 0x10), 3);
    stopped = m.v[1].run;
    CHECK_OK(pthread_kill(ap, SIGUSR1));
    CHECK_EQ(end(ap), INTERRUPTED);
    CHECK_EQ(mp_state(&m.v[1]), KVM_MP_STATE_INIT_RECEIVED);
    vm_close(&m.v[0]);
}

GUEST_CODE(
    pings, 64,
    APIC_START
    "mov $500, %ebx; movl $0, 0x20000; sti\n"
    "1: hlt; cmp $0, %ebx; jg 1b; cli\n" SAY("7") ".org pings + 0x400\n dec %ebx; js 2f\n" IPI(
        "1 << 24", "0x41") "2: " EOI "iretq\n"
                           ".org pings + 0x440\n dec %ebx; js 2f\n" IPI("0", "0x40") "2: " EOI
                                                                                     "iretq\n");

/* Each ends the other's HLT. The first ping comes from outside. */
TEST(interrupts_between_processors_end_hlt)
{
    struct machine m = OPEN(2, pings);
    struct kvm_msi msi = {.address_lo = 0xfee00000, .data = 0x40};

    start_ap_64(&m, 1, CODE);
    pthread_t ap = start(&m.v[1]), bp = start(&m.v[0]);
    /* Until it is taken: an APIC that is not on yet takes nothing. */
    while (ioctl(m.v[0].vm, KVM_SIGNAL_MSI, &msi) <= 0)
        usleep(1000);
    CHECK_EQ(end(bp), 7);
    /* The last one waits for an answer that does not come. */
    msi.address_lo = 0xfee01000;
    msi.data = 0x41;
    ioctl(m.v[0].vm, KVM_SIGNAL_MSI, &msi);
    CHECK_EQ(end(ap), 7);
    vm_close(&m.v[0]);
}

GUEST_CODE(spinner, 64,
           APIC_START
           "sti; movl $1, 0x20000; 1: pause; jmp 1b\n"
           ".org spinner + 0x100\n" APIC_START
           "1: cmpl $0, 0x20000; je 1b\n" IPI("1 << 24",
                                              "0x42") "1: jmp 1b\n"
                                                      ".org spinner + 0x480\n" SAY("0x42"));

TEST(an_interrupt_reaches_a_processor_that_runs)
{
    struct machine m = OPEN(2, spinner);

    start_ap_64(&m, 1, CODE);
    start_at(&m.v[0], CODE + 0x100);
    pthread_t ap = start(&m.v[1]), bp = start(&m.v[0]);
    CHECK_EQ(end(ap), 0x42);
    (void)bp; /* it ends with the process */
}

/* %ebx: which processor; each counts what it gets at 0x20000 + 16 * it, a byte for each vector. */
GUEST_CODE(
    listeners, 64,
    APIC_START
    "mov 0x20(%rbp), %ebx; shr $24, %ebx; shl $4, %ebx\n"
    "mov $0x1000000, %eax; mov %ebx, %ecx; shr $4, %ecx; shl %cl, %eax; mov %eax, 0xd0(%rbp)\n"
    "sti; test %ebx, %ebx; jz 2f; lock incl 0x20100; 1: hlt; jmp 1b\n"
    "2: cmpl $3, 0x20100; jne 2b\n" IPI("0", "0xc4040")    /* all but me: vector 0x40 */
    IPI("0xa << 24", "0x4841")                             /* logical: 1 and 3 */
    IPI("0xff << 24", "0x4042") IPI("0xe << 24", "0x4943") /* everybody; one of 1 to 3 */
    IPI("0xe << 24", "0x4943") IPI("0xe << 24", "0x4943") "3: cmpl $12, 0x20104; jne 3b\n" SAY(
        "1") ".org listeners + 0x400\n incb 0x20000(%rbx); lock incl 0x20104\n" EOI "iretq\n"
             ".org listeners + 0x440\n incb 0x20001(%rbx); lock incl 0x20104\n" EOI "iretq\n"
             ".org listeners + 0x480\n incb 0x20002(%rbx); lock incl 0x20104\n" EOI "iretq\n"
             ".org listeners + 0x4c0\n incb 0x20003(%rbx); lock incl 0x20104\n" EOI "iretq\n");

TEST(destinations_choose_processors)
{
    struct machine m = OPEN(4, listeners);
    static const uint8_t expected[4][4] = {{0, 0, 1, 0}, {1, 1, 1, 1}, {1, 0, 1, 1}, {1, 1, 1, 1}};

    for (unsigned i = 1; i < 4; i++) {
        start_ap_64(&m, i, CODE);
        start(&m.v[i]);
    }
    CHECK_EQ(run_to_out(&m.v[0], 0x10), 1);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 4; j++)
            CHECK_EQ(m.v[0].mem[0x20000 + 16 * i + j], expected[i][j]);
    }
    /* The other threads end with the process. */
}

TEST(a_processor_that_waits_for_its_start_can_be_interrupted)
{
    struct machine m = OPEN(2, starts_one);
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    CHECK_ERR(ioctl(m.v[1].vcpu, KVM_RUN, 0), EINTR);
    CHECK_EQ(mp_state(&m.v[1]), KVM_MP_STATE_UNINITIALIZED);
    struct kvm_mp_state s = {.mp_state = KVM_MP_STATE_SIPI_RECEIVED + 1};
    CHECK_ERR(ioctl(m.v[1].vcpu, KVM_SET_MP_STATE, &s), EINVAL);
    vm_close(&m.v[0]);
}
