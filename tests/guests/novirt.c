/* The instructions of both vendors' virtualization: in a guest each must give #UD, for there is no
 * nesting. */
#include "tests/guests/lib/guest.h"

enum { INVALID_OPCODE = 6 };

#define TRY(name, code)                                                                            \
    static void try_##name(void)                                                                   \
    {                                                                                              \
        __asm__ volatile("xor %%eax, %%eax; xor %%ecx, %%ecx; " code                               \
                         :                                                                         \
                         :                                                                         \
                         : "rax", "rcx", "memory");                                                \
    }

TRY(vmrun, "vmrun %%rax")
TRY(vmload, "vmload %%rax")
TRY(vmsave, "vmsave %%rax")
TRY(stgi, "stgi")
TRY(clgi, "clgi")
TRY(invlpga, "invlpga %%rax, %%ecx")
TRY(skinit, "skinit %%eax")
TRY(vmxon, "vmxon -8(%%rsp)")
TRY(vmxoff, "vmxoff")
TRY(vmlaunch, "vmlaunch")
TRY(vmresume, "vmresume")
TRY(vmread, "vmread %%rax, %%rcx")
TRY(vmwrite, "vmwrite %%rax, %%rcx")
TRY(vmptrld, "vmptrld -8(%%rsp)")
TRY(vmclear, "vmclear -8(%%rsp)")
TRY(invept, "invept -16(%%rsp), %%rax")
TRY(invvpid, "invvpid -16(%%rsp), %%rax")

#define ENTRY(name)                                                                                \
    {                                                                                              \
#name, try_##name                                                                          \
    }
static const struct {
    const char *name;
    void (*run)(void);
} tries[] = {
    ENTRY(vmrun),    ENTRY(vmload),  ENTRY(vmsave),  ENTRY(stgi),    ENTRY(clgi),
    ENTRY(invlpga),  ENTRY(skinit),  ENTRY(vmxon),   ENTRY(vmxoff),  ENTRY(vmlaunch),
    ENTRY(vmresume), ENTRY(vmread),  ENTRY(vmwrite), ENTRY(vmptrld), ENTRY(vmclear),
    ENTRY(invept),   ENTRY(invvpid),
};

int guest_main(const char *command_line)
{
    int wrong = 0;

    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        int vector = guest_try(tries[i].run);
        if (vector != INVALID_OPCODE) {
            print("%s: vector %d, expected %d\n", tries[i].name, vector, INVALID_OPCODE);
            wrong++;
        }
    }
    print("%u instructions tried, %d wrong\n", (unsigned)(sizeof(tries) / sizeof(tries[0])), wrong);
    return wrong != 0;
}
