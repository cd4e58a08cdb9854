#pragma once
#include "user/vmm/machine.h"

/*
 * Live migration: from a running monitor to `vmm receive` over a pair of FIFOs, LINK and LINK.back,
 * or over a serial line between two computers.
 */

/* Sends the running machine. True: it runs on the other side, and this one is told to stop. False:
 * it goes on here. The answer says what happened. */
bool migrate_send(struct machine *m, const char *link, char *answer, size_t size);
/* Receives a machine, ready to run. Ends the program with a message when what comes is not whole.
 */
void migrate_receive(struct machine *m, const char *link);
