/* Late launch as seen from inside: with viv.root=guest on the command line this kernel runs in the
 * root partition above a hypervisor that says its name; without it there is none. */
#define LIMIT 10
#include "tests/guest/test.h"

#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf after;

static void on_signal(int signal)
{
    siglongjmp(after, signal);
}

TEST(the_hypervisor_is_seen_where_there_is_one)
{
    unsigned a, b[3] = {0}, wanted = strstr(read_file("/proc/cmdline"), "viv.root=guest") != NULL;

    __cpuid(0x40000000, a, b[0], b[1], b[2]);
    CHECK_EQ(memcmp(b, "VivariumRoot", 12) == 0, wanted);
    if (wanted) {
        unsigned ecx, other;
        __cpuid(1, a, other, ecx, other);
        CHECK(ecx & 1u << 31); /* "a hypervisor is present" */
    }
}

TEST(ring_3_cannot_call_the_hypervisor)
{
    CHECK(signal(SIGILL, on_signal) != SIG_ERR);
    CHECK(signal(SIGSEGV, on_signal) != SIG_ERR); /* VMCALL in VMX root operation: #GP */
    if (sigsetjmp(after, 1) == 0) {
        asm volatile("vmmcall" : : "a"(1), "D"(0), "S"(0) : "memory");
        FAIL("VMMCALL was executed");
    }
    if (sigsetjmp(after, 1) == 0) {
        asm volatile("vmcall" : : "a"(1), "D"(0), "S"(0) : "memory");
        FAIL("VMCALL was executed");
    }
}
