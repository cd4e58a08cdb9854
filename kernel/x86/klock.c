// The kernel lock: a ticket lock.
#include "kernel/x86/klock.h"

#include "kernel/x86/cpu.h"
#include "kernel/x86/log.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/smp.h"

static u32 next_ticket, now_serving;

static __attribute__((noinline)) void wait_for(u32 ticket)
{
    while (__atomic_load_n(&now_serving, __ATOMIC_ACQUIRE) != ticket) {
        smp_poll();
        cpu_relax();
    }
}

void klock_acquire(void)
{
    u32 ticket = __atomic_fetch_add(&next_ticket, 1, __ATOMIC_RELAXED);

    if (__atomic_load_n(&now_serving, __ATOMIC_ACQUIRE) != ticket)
        wait_for(ticket);
    this_cpu()->holds_klock = true;
}

void klock_release(void)
{
    this_cpu()->holds_klock = false;
    __atomic_store_n(&now_serving, now_serving + 1, __ATOMIC_RELEASE);
}

bool klock_held(void)
{
    return this_cpu()->holds_klock;
}
