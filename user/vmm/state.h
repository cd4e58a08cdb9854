#pragma once
#include "user/vmm/machine.h"
#include "user/vmm/stream.h"

/*
 * All of a machine but its memory, as sections of a stream. The machine stands still meanwhile.
 */

bool state_save(struct machine *m, struct stream *s);
/* Before the first section. */
void state_expect(struct machine *m);
/* Takes the section that stream_get has read. Whatever does not fit ends the program. */
void state_load_section(struct machine *m, struct stream *s);
/* Ends the program if a section has not come; else the machine may run. */
void state_loaded(struct machine *m, const struct stream *s);
