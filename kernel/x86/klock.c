// The kernel lock. Whoever runs and finds it free takes it: under an emulator a CPU that stands
// first in a queue may not be running at all, and then a lock that keeps the order makes everybody
// wait for it. But who comes to a free lock that others wait for lets them go first for a moment:
// else, where the emulator runs its CPUs in turns, a CPU that lives in system calls could hold it
// at each turn of the others.
#include "kernel/x86/klock.h"

#include "kernel/x86/cpu.h"
#include "kernel/x86/percpu.h"
#include "kernel/x86/smp.h"

#define COURTESY 50 // pauses

static u32 locked, waiting;

static bool try_lock(void)
{
    return !__atomic_load_n(&locked, __ATOMIC_RELAXED) &&
           !__atomic_exchange_n(&locked, 1, __ATOMIC_ACQUIRE);
}

static __attribute__((noinline)) void wait_for_lock(void)
{
    for (int i = 0; i < COURTESY && __atomic_load_n(&waiting, __ATOMIC_RELAXED) &&
                    !__atomic_load_n(&locked, __ATOMIC_RELAXED);
         i++)
        cpu_relax();
    __atomic_fetch_add(&waiting, 1, __ATOMIC_RELAXED);
    while (!try_lock()) {
        smp_poll();
        cpu_relax();
    }
    __atomic_fetch_sub(&waiting, 1, __ATOMIC_RELAXED);
}

void klock_acquire(void)
{
    if (__atomic_load_n(&waiting, __ATOMIC_RELAXED) ||
        __atomic_exchange_n(&locked, 1, __ATOMIC_ACQUIRE))
        wait_for_lock();
    this_cpu()->holds_klock = true;
}

void klock_release(void)
{
    this_cpu()->holds_klock = false;
    __atomic_store_n(&locked, 0, __ATOMIC_RELEASE);
}

bool klock_held(void)
{
    return this_cpu()->holds_klock;
}
