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

static uint8_t *poll_page(void)
{
    return (uint8_t *)the_cpu - PAGE;
}

static void on_alarm(int signal, siginfo_t *info, void *context)
{
    the_cpu->alarm = true;
    if (the_cpu->translating)
        mprotect(poll_page(), PAGE, PROT_NONE);
}

/* Takes the guest's state out of the interrupted code and lets the signal return to the monitor. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
    struct cpu *c = the_cpu;

    if (!cache_locate(c, (const uint8_t *)m->rip, &c->eip)) {
        static const char text[] = "bt: a fault in bt itself\n";
        if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
            _exit(STATUS_USAGE);
        _exit(STATUS_CRASHED);
    }
    const uint64_t regs[] = {m->rax, m->rcx, m->rdx, m->rbx, m->rsp, m->rbp, m->rsi, m->rdi};
    for (int n = EAX; n <= EDI; n++)
        c->regs[n] = (uint32_t)regs[n];
    c->eflags = (c->eflags & ~(uint32_t)FLAGS_IN_HOST) | ((uint32_t)m->eflags & FLAGS_IN_HOST);
    c->why = LEFT_BY_SIGNAL;
    c->fault = signal == SIGFPE ? VECTOR_DE : signal == SIGILL ? VECTOR_UD : UINT32_MAX;
    c->polled = info->si_addr == poll_page();
    m->rip = (uint64_t)enter_return;
}

static void catch (int number, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigfillset(&action.sa_mask);
    if (sigaction(number, &action, NULL) < 0)
        die(STATUS_USAGE, "sigaction failed");
}

static uint8_t *map(uint8_t *at, size_t size, int protection)
{
    if (mmap(at, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
             0) == MAP_FAILED)
        die(STATUS_USAGE, "no address space for the guest");
    return at;
}

struct cpu *cpu_create(uint32_t ram_size)
{
    /* In front of the guest's memory: the signal stack, the poll page, struct cpu, a gap. */
    uint8_t *at = map(GUEST_BASE - GUEST_SPACE, 3 * GUEST_SPACE, PROT_NONE);
    stack_t stack = {.ss_sp = map(at, SIGNAL_STACK, PROT_READ | PROT_WRITE),
                     .ss_size = SIGNAL_STACK};

    map(at + SIGNAL_STACK, 2 * PAGE, PROT_READ | PROT_WRITE);
    the_cpu = (struct cpu *)(at + SIGNAL_STACK + PAGE);
    map(GUEST_BASE, ram_size, PROT_READ | PROT_WRITE);
    *the_cpu = (struct cpu){.ram_size = ram_size, .cr = {0x11}};
    the_cpu->leave = enter_leave;
    the_cpu->lookup = enter_lookup;
    if (sigaltstack(&stack, NULL) < 0 || syscall(SYS_arch_prctl, ARCH_SET_GS, GUEST_BASE) < 0)
        die(STATUS_USAGE, "no signal stack, or no GS base");
    catch (SIGSEGV, on_fault);
    catch (SIGFPE, on_fault);
    catch (SIGILL, on_fault);
    catch (SIGALRM, on_alarm);
    return the_cpu;
}

void raise_exception(struct cpu *c, unsigned vector, int64_t error)
{
    deliver(c, vector, c->at, error);
    longjmp(to_loop, 1);
}

static void interpret_one(struct cpu *c)
{
    bool step = c->eflags & TF;

    c->shadow = false;
    interpret(c);
    if (step)
        deliver(c, VECTOR_DB, c->eip, -1);
}

static void give_interrupts(struct cpu *c)
{
    if (c->alarm) {
        mprotect(poll_page(), PAGE, PROT_READ | PROT_WRITE);
        c->alarm = false; /* if another came meanwhile, the poll page brings us back */
        devices_look();
    }
    int vector = devices_interrupt(c->interrupts && !c->shadow);
    if (vector >= 0)
        deliver(c, (unsigned)vector, c->eip, -1);
}

/* What the block that came back wants done before the next one. */
static void serve(struct cpu *c, uint32_t why)
{
    c->at = c->eip;
    if (why == LEFT_TO_EMULATE)
        interpret_one(c);
    if (why != LEFT_BY_SIGNAL)
        return;
    if (c->polled) {
        c->alarm = true;
        return;
    }
    if (c->fault != UINT32_MAX)
        raise_exception(c, c->fault, -1);
    interpret_one(c); /* a write to a page of code, or an access to memory that is not there */
}

static void run_translated(struct cpu *c)
{
    uint32_t why = LEFT_UNCHAINED;

    for (;;) {
        uint32_t wanted = c->eip;
        give_interrupts(c);
        if (c->eip != wanted)
            why = LEFT_UNCHAINED;
        void *code = c->shadow || c->eflags & TF ? NULL : cache_find(c, why);
        if (!code) {
            interpret_one(c);
            why = LEFT_UNCHAINED;
            continue;
        }
        c->entries++;
        why = enter(c, code);
        if (why < LEFT_BY_JUMP && why != LEFT_INDIRECT) {
            serve(c, why);
            why = LEFT_UNCHAINED;
        }
    }
}

int run(struct cpu *c)
{
    setjmp(to_loop);
    while (!c->translating) {
        if (c->alarm || c->interrupts)
            give_interrupts(c);
        interpret_one(c);
    }
    run_translated(c);
    return STATUS_CRASHED;
}
