#pragma once
#include "user/vmm/machine.h"

/*
 * Orders to a running monitor through a FIFO: `vmm --control PATH ...` makes it and serves it in a
 * thread of its own; `vmm save PATH DIR` and `vmm migrate PATH LINK`, from another shell, write to
 * it. An order is one write of three strings: verb, argument, and the FIFO for the answer.
 */

/* Makes the FIFO; orders are taken once machine_run has begun. */
void control_create(struct machine *m, const char *path);
void control_remove(void);
/* The other side: hands over an order, prints the answer, returns the exit status. */
int control_order(const char *verb, const char *path, const char *argument);
