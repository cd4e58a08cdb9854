// Checks of memory management on the machine itself, with the real page tables and TLB.
#pragma once

// viv.test=mm: run at the end of boot, before the first task; panics at the first wrong result.
void mm_selftest(void);
