/*
 * The vCPU's life: before every entry the devices look at the clock and at the console, and the
 * 8259 hands over an interrupt; after every exit somebody answers it.
 *
 * The guest must be left when a timer of it is due, even when it spins. A signal does that:
 * SIGALRM's handler sets kvm_run's immediate_exit, so that a signal between the last look at the
 * clock and KVM_RUN is not lost.
 */
#include "user/vmm/machine.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include "user/vmm/console.h"
#include "user/vmm/say.h"

enum { IRQ_TIMER = 0, IRQ_COM2 = 3, IRQ_COM1 = 4 };

/* How long a guest that does not halt may run before the console's input is looked at. */
#define CONSOLE_POLL_NS 20000000ull

/* How long a halted guest without a timer sleeps at a stretch: a signal just before the sleep must
 * not be lost for good. */
#define HALT_LOOK_NS 1000000000ll

static struct kvm_run *volatile signalled_run;
static volatile sig_atomic_t alarm_rang, ending_signal;

static void on_alarm(int signal)
{
    (void)signal;
    alarm_rang = 1;
    signalled_run->immediate_exit = 1;
}

static void on_end(int signal)
{
    ending_signal = signal;
    signalled_run->immediate_exit = 1;
}

static void catch_signals(struct machine *m)
{
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = on_alarm};

    signalled_run = m->run;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGALRM, &action, NULL) < 0)
        die_errno("sigaction");
    action.sa_handler = on_end;
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sigaction(ends[i], &action, NULL);
    alarm_rang = 1;
}

/* Makes SIGALRM ring no later than at the given time. Keeps a timer that will ring early enough. */
static void set_alarm(uint64_t now, uint64_t deadline)
{
    static uint64_t armed;

    if (!alarm_rang && armed <= deadline)
        return;
    alarm_rang = 0;
    armed = deadline;
    uint64_t wait_us = deadline > now ? (deadline - now + 999) / 1000 : 1;
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)(wait_us / 1000000),
                                           .tv_usec = (suseconds_t)(wait_us % 1000000)}};
    if (setitimer(ITIMER_REAL, &timer, NULL) < 0)
        die_errno("setitimer");
}

void machine_stop(struct machine *m, int status)
{
    m->stopped = true;
    m->status = status;
}

static void feed_console(struct machine *m)
{
    uint8_t data[UART_FIFO];
    struct virtio *console = m->bus.console;

    if (console_pump()) {
        say("%s: left by ^A x", m->name);
        machine_stop(m, STATUS_OK);
    }
    if (console)
        virtio_console_feed(console);
    else
        uart_receive(&m->com[0], data, console_take(data, uart_room(&m->com[0])));
    m->com[0].drained = false;
}

static void update_lines(struct machine *m, uint64_t now)
{
    /* A tick that the guest has not taken yet holds back the next one, so that none is lost. */
    if (!pic_requested(&m->pic, IRQ_TIMER) && pit_take_tick(&m->pit, now))
        pic_pulse(&m->pic, IRQ_TIMER);
    pic_line(&m->pic, IRQ_COM1, uart_line(&m->com[0]));
    pic_line(&m->pic, IRQ_COM2, uart_line(&m->com[1]));
    for (unsigned i = 0; i < m->bus.count; i++) {
        virtio_go_on(&m->bus.device[i]);
        pic_line(&m->pic, m->bus.device[i].irq, virtio_line(&m->bus.device[i]));
    }
}

/* Hands the highest interrupt to the vCPU, or asks for an exit as soon as it can take one. */
static void inject(struct machine *m)
{
    if (pic_pending(&m->pic) && m->run->ready_for_interrupt_injection) {
        struct kvm_interrupt irq = {.irq = pic_acknowledge(&m->pic)};
        if (ioctl(m->vcpu_fd, KVM_INTERRUPT, &irq) < 0)
            die_errno("KVM_INTERRUPT");
        m->counts.interrupts++;
        m->run->ready_for_interrupt_injection = 0;
    }
    m->run->request_interrupt_window = pic_pending(&m->pic);
}

/* When the guest must be left at the latest. */
static uint64_t next_look(const struct machine *m, uint64_t now)
{
    uint64_t look = now + CONSOLE_POLL_NS, tick = pit_deadline(&m->pit);

    return tick && tick < look && !pic_requested(&m->pic, IRQ_TIMER) ? tick : look;
}

/* The guest waits for an interrupt: sleep until a device may have one. */
static void halt(struct machine *m)
{
    uart_flush(&m->com[0]);
    uart_flush(&m->com[1]);
    if (!m->run->if_flag) {
        say("%s: the guest halted with interrupts off", m->name);
        machine_stop(m, STATUS_CRASHED);
        return;
    }
    while (!m->stopped && !ending_signal && !pic_pending(&m->pic)) {
        uint64_t now = clock_ns(), tick = pit_deadline(&m->pit);
        update_lines(m, now);
        if (pic_pending(&m->pic))
            break;
        int64_t wait = !tick ? HALT_LOOK_NS : tick > now ? (int64_t)(tick - now) : 0;
        console_wait(wait);
        feed_console(m);
        update_lines(m, clock_ns());
    }
}

static void handle_io(struct machine *m)
{
    struct kvm_run *run = m->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;

    m->counts.port[run->io.port]++;
    for (uint32_t i = 0; i < run->io.count && !m->stopped; i++, data += run->io.size)
        ports_access(m, run->io.port, run->io.direction == KVM_EXIT_IO_OUT, data, run->io.size);
}

static void handle_mmio(struct machine *m)
{
    struct kvm_run *run = m->run;
    unsigned size = run->mmio.len <= sizeof(run->mmio.data) ? run->mmio.len : 1;

    if (bus_mmio(&m->bus, run->mmio.phys_addr, run->mmio.is_write, run->mmio.data, size))
        return;
    m->counts.mmio_nowhere++;
    if (!run->mmio.is_write)
        memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
}

static void crash(struct machine *m)
{
    struct kvm_run *run = m->run;

    switch (run->exit_reason) {
    case KVM_EXIT_SHUTDOWN:
        say("%s: the guest shut its processor down (triple fault)", m->name);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        say("%s: the processor refused the guest's state, hardware reason 0x%llx", m->name,
            (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
        machine_dump(m);
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        say("%s: KVM internal error, suberror %u", m->name, run->internal.suberror);
        machine_dump(m);
        break;
    default:
        say("%s: unexpected exit, reason %u", m->name, run->exit_reason);
        machine_dump(m);
    }
    machine_stop(m, STATUS_CRASHED);
}

static void handle_exit(struct machine *m)
{
    m->counts.reason[m->run->exit_reason & 63]++;
    switch (m->run->exit_reason) {
    case KVM_EXIT_IO:
        handle_io(m);
        break;
    case KVM_EXIT_MMIO:
        handle_mmio(m);
        break;
    case KVM_EXIT_HLT:
        halt(m);
        break;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        break;
    default:
        crash(m);
    }
}

/* One stay in the guest. */
static void enter(struct machine *m)
{
    int result = ioctl(m->vcpu_fd, KVM_RUN, 0);

    if (result < 0 && errno == EINTR) {
        m->run->immediate_exit = 0;
        m->counts.reason[KVM_EXIT_INTR]++;
    } else if (result < 0) {
        int reason = errno;
        say("%s: KVM_RUN: %s", m->name, strerror(reason));
        machine_dump(m);
        machine_stop(m, STATUS_CRASHED);
    } else {
        handle_exit(m);
    }
}

/* The guest's driver has made room for input. */
static bool wants_input(const struct machine *m)
{
    return m->com[0].drained || (m->bus.console && m->bus.console->fed);
}

int machine_run(struct machine *m)
{
    uint64_t last_look = 0;

    catch_signals(m);
    console_start();
    while (!m->stopped && !ending_signal) {
        uint64_t now = clock_ns();
        if (now - last_look >= CONSOLE_POLL_NS || alarm_rang || wants_input(m)) {
            uart_flush(&m->com[0]);
            uart_flush(&m->com[1]);
            feed_console(m);
            last_look = now;
        }
        update_lines(m, now);
        inject(m);
        set_alarm(now, next_look(m, now));
        enter(m);
    }
    uart_flush(&m->com[0]);
    uart_flush(&m->com[1]);
    console_restore();
    return m->stopped ? m->status : 128 + ending_signal;
}
