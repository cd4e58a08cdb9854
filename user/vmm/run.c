/*
 * The guest's life. A vCPU's thread goes into the guest, and answers after every exit. The main
 * thread moves what is typed to the guest, writes out what the guest has sent and has not ended by
 * a newline, and waits for signals.
 *
 * A thread is taken out of KVM_RUN by kvm_run's immediate_exit and a signal: so a request that
 * comes just before the ioctl is not lost.
 */
#include "user/vmm/machine.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "user/vmm/console.h"
#include "user/vmm/say.h"

enum { KICK = SIGUSR1 };

/* How long letters of an unfinished line may wait for more. */
#define FLUSH_NS 10000000ull

/* How often the vCPUs are asked whether they have halted for good. */
#define LOOK_NS 1000000000ll

static volatile sig_atomic_t ending_signal;
static int signal_wake_fd;

static void wake(int fd)
{
    uint64_t one = 1;
    ssize_t ignored = write(fd, &one, sizeof(one));
    (void)ignored;
}

static void on_kick(int signal)
{
    (void)signal;
}

static void on_end(int signal)
{
    ending_signal = signal;
    wake(signal_wake_fd);
}

static void catch_signals(struct machine *m)
{
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = on_kick};

    signal_wake_fd = m->wake_fd;
    sigemptyset(&action.sa_mask);
    if (sigaction(KICK, &action, NULL) < 0)
        die_errno("sigaction");
    action.sa_handler = on_end;
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sigaction(ends[i], &action, NULL);
}

static void kick(struct vcpu *v)
{
    v->run->immediate_exit = 1;
    pthread_kill(v->thread, KICK);
}

void machine_stop(struct machine *m, int status)
{
    if (m->stopped)
        return;
    m->status = status;
    __atomic_store_n(&m->stopped, true, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&m->pause_changed);
    for (unsigned i = 0; i < m->vcpu_count; i++)
        kick(&m->vcpu[i]);
    wake(m->wake_fd);
}

void machine_line(struct machine *m, unsigned gsi, bool level)
{
    struct kvm_irq_level line = {.irq = gsi, .level = level};

    if (m->lines[gsi] == level)
        return;
    m->lines[gsi] = level;
    m->counts.lines++;
    if (ioctl(m->vm_fd, KVM_IRQ_LINE, &line) < 0)
        die_errno("KVM_IRQ_LINE: GSI %u", gsi);
}

/* Hands what was typed to the guest, as much as it takes. */
static void feed_console(struct machine *m)
{
    uint8_t data[UART_FIFO];
    size_t room = uart_room(&m->com[0]);

    if (!console_ready() || (!m->bus.console && !room))
        return;
    if (m->bus.console)
        virtio_console_feed(m->bus.console);
    else
        uart_receive(&m->com[0], data, console_take(data, room));
    if (!console_ready())
        wake(m->wake_fd); /* there is room for more */
}

/* After somebody has touched a device. */
static void update_devices(struct machine *m)
{
    bool more = false;

    feed_console(m);
    machine_line(m, GSI_COM1, uart_line(&m->com[0]));
    machine_line(m, GSI_COM2, uart_line(&m->com[1]));
    for (unsigned i = 0; i < m->bus.count; i++) {
        more |= virtio_go_on(&m->bus.device[i]);
        machine_line(m, m->bus.device[i].irq, virtio_line(&m->bus.device[i]));
    }
    if ((m->com[0].out_count || m->com[1].out_count) && !m->flush_at) {
        m->flush_at = clock_ns() + FLUSH_NS;
        more = true;
    }
    if (more)
        wake(m->wake_fd);
}

static void handle_io(struct vcpu *v)
{
    struct kvm_run *run = v->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;

    v->m->counts.port[run->io.port]++;
    for (uint32_t i = 0; i < run->io.count && !v->m->stopped; i++, data += run->io.size)
        ports_access(v, run->io.port, run->io.direction == KVM_EXIT_IO_OUT, data, run->io.size);
    update_devices(v->m);
}

static void handle_mmio(struct vcpu *v)
{
    struct kvm_run *run = v->run;
    unsigned size = run->mmio.len <= sizeof(run->mmio.data) ? run->mmio.len : 1;

    if (bus_mmio(&v->m->bus, run->mmio.phys_addr, run->mmio.is_write, run->mmio.data, size)) {
        update_devices(v->m);
        return;
    }
    v->m->counts.mmio_nowhere++;
    if (!run->mmio.is_write)
        memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
}

static void crash(struct vcpu *v)
{
    struct kvm_run *run = v->run;
    const char *name = v->m->name;

    switch (run->exit_reason) {
    case KVM_EXIT_SHUTDOWN:
        say("%s: the guest shut its processor down (triple fault)", name);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        say("%s: the processor refused the guest's state, hardware reason 0x%llx", name,
            (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
        machine_dump(v);
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        say("%s: KVM internal error, suberror %u", name, run->internal.suberror);
        machine_dump(v);
        break;
    default:
        say("%s: unexpected exit, reason %u", name, run->exit_reason);
        machine_dump(v);
    }
    machine_stop(v->m, STATUS_CRASHED);
}

static void handle_exit(struct vcpu *v)
{
    v->reason[v->run->exit_reason & 63]++;
    if (v->m->stopped)
        return;
    switch (v->run->exit_reason) {
    case KVM_EXIT_IO:
        handle_io(v);
        break;
    case KVM_EXIT_MMIO:
        handle_mmio(v);
        break;
    default:
        crash(v);
    }
}

/* Kicked: notes whether the vCPU waits for what will never come, an interrupt while it takes none.
 */
static void handle_kick(struct vcpu *v)
{
    struct kvm_mp_state state;

    v->reason[KVM_EXIT_INTR]++;
    v->halted = ioctl(v->fd, KVM_GET_MP_STATE, &state) == 0 &&
                ((state.mp_state == KVM_MP_STATE_HALTED && !v->run->if_flag) ||
                 state.mp_state == KVM_MP_STATE_UNINITIALIZED);
}

static void flush(struct machine *m)
{
    uart_flush(&m->com[0]);
    uart_flush(&m->com[1]);
    m->flush_at = 0;
}

/* KVM_RUN has been ended by immediate_exit, which finishes the last exit: nothing is under way. */
static void wait_while_paused(struct machine *m)
{
    m->paused++;
    while (m->pausing && !m->stopped) {
        pthread_cond_broadcast(&m->pause_changed);
        pthread_cond_wait(&m->pause_changed, &m->lock);
    }
    m->paused--;
}

void machine_pause(struct machine *m)
{
    pthread_mutex_lock(&m->lock);
    m->pausing = true;
    for (unsigned i = 0; i < m->vcpu_count && !m->stopped; i++)
        kick(&m->vcpu[i]); /* a stopped machine's threads may be gone */
    while (m->paused < m->vcpu_count && !m->stopped)
        pthread_cond_wait(&m->pause_changed, &m->lock);
    flush(m);
}

void machine_resume(struct machine *m)
{
    m->pausing = false;
    pthread_cond_broadcast(&m->pause_changed);
    pthread_mutex_unlock(&m->lock);
}

/* One stay in the guest. */
static void enter(struct vcpu *v)
{
    int result = ioctl(v->fd, KVM_RUN, 0), reason = errno;

    if (result < 0 && reason == EAGAIN && !v->m->pausing)
        return;
    if (result < 0)
        v->run->immediate_exit = 0;
    pthread_mutex_lock(&v->m->lock);
    if (result == 0) {
        handle_exit(v);
    } else if (reason == EINTR || reason == EAGAIN) {
        handle_kick(v);
        wait_while_paused(v->m);
    } else if (!v->m->stopped) {
        say("%s: KVM_RUN: %s", v->m->name, strerror(reason));
        machine_dump(v);
        machine_stop(v->m, STATUS_CRASHED);
    }
    pthread_mutex_unlock(&v->m->lock);
}

static void *vcpu_main(void *arg)
{
    struct vcpu *v = arg;

    while (!__atomic_load_n(&v->m->stopped, __ATOMIC_SEQ_CST))
        enter(v);
    return NULL;
}

/* Ends the machine when no vCPU can ever go on; else asks them anew. */
static void look_for_life(struct machine *m)
{
    bool alive = false;

    for (unsigned i = 0; i < m->vcpu_count; i++)
        alive |= !m->vcpu[i].halted;
    if (!alive) {
        say("%s: the guest halted with interrupts off", m->name);
        machine_stop(m, STATUS_CRASHED);
        return;
    }
    for (unsigned i = 0; i < m->vcpu_count; i++)
        kick(&m->vcpu[i]);
}

/* What the main thread does each time that it wakes up. Returns how long it may sleep. */
static int64_t serve(struct machine *m)
{
    static uint64_t look_at;
    uint64_t now = clock_ns();

    if (m->flush_at && now >= m->flush_at)
        flush(m);
    if (console_pump()) {
        flush(m);
        say("%s: left by ^A x", m->name);
        machine_stop(m, STATUS_OK);
    }
    update_devices(m);
    if (!look_at || now >= look_at) {
        if (look_at)
            look_for_life(m);
        look_at = now + LOOK_NS;
    }
    uint64_t until = m->flush_at && m->flush_at < look_at ? m->flush_at : look_at;
    return until > now ? (int64_t)(until - now) : 0;
}

static void start_threads(struct machine *m)
{
    sigset_t ends, old;

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ends, &old); /* those are the main thread's */
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        if ((errno = pthread_create(&m->vcpu[i].thread, NULL, vcpu_main, &m->vcpu[i])))
            die_errno("a thread for vCPU %u", i);
    }
    pthread_t control;
    if (m->control && (errno = pthread_create(&control, NULL, m->control, m)))
        die_errno("a thread for orders");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int machine_run(struct machine *m)
{
    catch_signals(m);
    console_start();
    pthread_mutex_lock(&m->lock);
    start_threads(m);
    while (!m->stopped && !ending_signal) {
        int64_t wait_ns = serve(m);
        pthread_mutex_unlock(&m->lock);
        if (!__atomic_load_n(&m->stopped, __ATOMIC_SEQ_CST))
            console_wait(m->wake_fd, wait_ns);
        pthread_mutex_lock(&m->lock);
    }
    int status = m->stopped ? m->status : 128 + ending_signal;
    machine_stop(m, status);
    pthread_mutex_unlock(&m->lock);
    for (unsigned i = 0; i < m->vcpu_count; i++)
        pthread_join(m->vcpu[i].thread, NULL);
    flush(m);
    console_restore();
    return status;
}
