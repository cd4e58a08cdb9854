// Futexes: futex(2). WAIT, WAKE, WAIT_BITSET, WAKE_BITSET, REQUEUE, CMP_REQUEUE, with or without
// FUTEX_PRIVATE_FLAG.
#pragma once
#include "kernel/lib/types.h"

long futex_op(u32 __user *uaddr, int op, u32 val, u64 timeout_or_val2, u32 __user *uaddr2,
              u32 val3);
// Wakes up to n waiters of an address in the current address space (clear_child_tid).
int futex_wake(u32 __user *uaddr, int n);
// set_robust_list(2): marks the locks that an ending thread holds, and wakes their waiters.
void futex_exit_robust_list(void);
