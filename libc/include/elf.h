/* ELF as the kernel reads it. */
#ifndef VIV_ELF_H
#define VIV_ELF_H

#include <linux/elf.h>

#endif
