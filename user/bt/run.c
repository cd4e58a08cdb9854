/*
 * The monitor's loop: give the guest its interrupts, find or make the block at EIP, run it, and see
 * why it came back. Signals of the host stand for what the CPU would tell a kernel: SIGSEGV for a
 * write to translated code or an access to nothing, SIGFPE for a divide error, SIGILL for an
 * invalid opcode, SIGALRM for the timer.
 */
#include "user/bt/bt.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <asm/prctl.h>

enum { SIGNAL_STACK = 16 * PAGE };

static struct cpu *the_cpu;
static jmp_buf to_loop;

/* Takes the guest's state out of the interrupted code and lets the signal return to the monitor. */
static void on_signal(int signal, siginfo_t *info, void *context)
{
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
    const uint64_t regs[] = {m->rax, m->rcx, m->rdx, m->rbx, m->rsp, m->rbp, m->rsi, m->rdi};
    struct cpu *c = the_cpu;

    if (signal == SIGALRM) {
        c->alarm = true;
        mprotect((uint8_t *)c - PAGE, PAGE, PROT_NONE); /* the poll page */
        return;
    }
    if (!cache_locate(c, (const uint8_t *)m->rip, &c->eip)) {
        write(STDERR_FILENO, "bt: a fault in bt itself\n", 25);
        _exit(STATUS_CRASHED);
    }
    for (int n = EAX; n <= EDI; n++)
        c->regs[n] = (uint32_t)regs[n];
    c->eflags = (c->eflags & ~(uint32_t)FLAGS_IN_HOST) | ((uint32_t)m->eflags & FLAGS_IN_HOST);
    c->why = LEFT_BY_SIGNAL;
    c->fault = signal == SIGFPE ? VECTOR_DE : signal == SIGILL ? VECTOR_UD : -1;
    c->polled = info->si_addr == (uint8_t *)c - PAGE;
    m->rip = (uint64_t)enter_return;
}

static uint8_t *map(uint8_t *at, size_t size, int protection)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

    if (mmap(at, size, protection, flags, -1, 0) == MAP_FAILED)
        die(STATUS_USAGE, "no address space for the guest");
    return at;
}

struct cpu *cpu_create(void)
{
    static const int signals[] = {SIGALRM, SIGSEGV, SIGFPE, SIGILL};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    /* In front of the guest's memory: the signal stack, the poll page, struct cpu, a gap. */
    uint8_t *at = map(GUEST_BASE - GUEST_SPACE, 3 * GUEST_SPACE, PROT_NONE);
    stack_t stack = {.ss_sp = at, .ss_size = SIGNAL_STACK};

    map(at, SIGNAL_STACK + 2 * PAGE, PROT_READ | PROT_WRITE);
    map(GUEST_BASE, RAM_SIZE, PROT_READ | PROT_WRITE);
    the_cpu = (struct cpu *)(at + SIGNAL_STACK + PAGE);
    *the_cpu = (struct cpu){.leave = enter_leave, .lookup = enter_lookup, .cr = {0x11}};
    if (sigaltstack(&stack, NULL) < 0 || syscall(SYS_arch_prctl, ARCH_SET_GS, GUEST_BASE) < 0)
        die(STATUS_USAGE, "no signal stack, or no GS base");
    sigfillset(&action.sa_mask);
    for (unsigned n = 0; n < sizeof(signals) / sizeof(signals[0]); n++)
        sigaction(signals[n], &action, NULL);
    return the_cpu;
}

void raise_exception(struct cpu *c, unsigned vector, int64_t error)
{
    deliver(c, vector, c->at, error);
    longjmp(to_loop, 1);
}

static void give_interrupts(struct cpu *c)
{
    bool tick = c->alarm;

    if (tick) {
        mprotect((uint8_t *)c - PAGE, PAGE, PROT_READ);
        c->alarm = false; /* if another came meanwhile, the poll page brings us back */
    }
    int vector = devices_interrupt(tick, c->interrupts && !c->shadow);
    if (vector >= 0)
        deliver(c, (unsigned)vector, c->eip, NO_ERROR);
}

/* Runs from EIP until translated code comes back. why says how it did last time; returns it anew.
 */
static uint32_t run_block(struct cpu *c, uint32_t why)
{
    bool step = c->eflags & TF;
    uint8_t *code = c->translating && !c->shadow && !step ? cache_find(c, why) : NULL;

    c->entries += code != NULL;
    why = code ? enter(c, code) : LEFT_TO_EMULATE;
    c->alarm |= why == LEFT_BY_SIGNAL && c->polled;
    c->at = c->eip;
    if (why == LEFT_BY_SIGNAL && c->fault >= 0)
        raise_exception(c, (unsigned)c->fault, NO_ERROR);
    if (why == LEFT_TO_EMULATE || (why == LEFT_BY_SIGNAL && !c->polled)) {
        /* by signal: a write to a page of code, or an access to memory that is not there */
        c->shadow = false;
        interpret(c);
    }
    if (step)
        deliver(c, VECTOR_DB, c->eip, NO_ERROR);
    return why >= LEFT_BY_JUMP ? why : LEFT_UNCHAINED;
}

int run(struct cpu *c)
{
    uint32_t why, eip;

    setjmp(to_loop);
    for (why = LEFT_UNCHAINED;; why = run_block(c, c->eip == eip ? why : LEFT_UNCHAINED)) {
        eip = c->eip;
        give_interrupts(c);
    }
}
