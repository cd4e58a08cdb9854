#pragma once
#include "user/vmm/machine.h"
#include "user/vmm/stream.h"

/*
 * A machine in files: DIR/memory and DIR/machine, which bear the same random number.
 */

/* Writes the files of a machine that stands still. False: none are left, and why is in the error
 * of size bytes. */
bool snapshot_save(struct machine *m, const char *dir, char *error, size_t size);
/* Makes the machine that the files hold, ready to run. Ends the program with a message when they
 * do not fit. */
void snapshot_restore(struct machine *m, const char *dir);

/* Shared with migration. Makes a machine as the header says, less its state and memory. */
void snapshot_create(struct machine *m, const struct stream *s, const struct stream_header *h);
struct stream_header snapshot_header(const struct machine *m, enum stream_content content,
                                     uint64_t id);
/* Writes pages that are not all zero; all: says where the others are, too. */
bool snapshot_put_pages(const struct machine *m, struct stream *s, uint64_t gpa, uint64_t size,
                        bool all);
/* Takes a record of memory. False: it is none. */
bool snapshot_take_memory(struct machine *m, const struct stream *s);
