// Sizes that C and assembly share: the stacks that CPUs start on, which become their idle tasks'.
#pragma once

#define MAX_CPUS 16
#define BOOT_STACK_SIZE 16384
#define AP_TRAMPOLINE 0x8000 // physical, below 1 MiB, page-aligned: where other CPUs start
