// viv.test=sched: tasks, wait queues, timers and CPUs, checked on the machine itself.
#pragma once

// Starts the test's own thread, which powers the machine off at the end: status 0, or a panic that
// names the failed check.
void sched_selftest(void);
