// Fills the root file system from the boot modules: cpio archives in newc format, one over the
// other.
#pragma once

// A bad module gives one line in the log, with its name, offset and field; what was whole before is
// kept. The memory of the modules goes to the frame allocator.
void initramfs_unpack(void);
