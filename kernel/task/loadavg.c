// Load averages: a sample each five seconds, weighed into three averages that forget exponentially.

#include "kernel/task/loadavg.h"
#include "kernel/task/sched.h"
#include "kernel/task/timer.h"
#include "kernel/x86/clock.h"

#define PERIOD_NS (5 * NSEC_PER_SEC)

static struct ktimer timer;
static unsigned long averages[3];
// 65536 / e^(5s / 1, 5, 15 min): what is kept of the old average at each sample.
static const u32 keep[3] = {60296, 64453, 65173};

static void sample(struct ktimer *t)
{
    unsigned long now = sched_runnable() * LOAD_ONE;

    for (int i = 0; i < 3; i++)
        averages[i] = (averages[i] * keep[i] + now * (LOAD_ONE - keep[i])) / LOAD_ONE;
    ktimer_set(t, clock_ns() + PERIOD_NS, sample);
}

void loadavg(unsigned long loads[3])
{
    for (int i = 0; i < 3; i++)
        loads[i] = averages[i];
}

void loadavg_init(void)
{
    ktimer_set(&timer, clock_ns() + PERIOD_NS, sample);
}
