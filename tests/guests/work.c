/* The virtual machine's side of the comparison of the three worlds: what user/work does, on a bare
 * machine. */
#include "tests/guests/lib/guest.h"
#include "user/work/checksum.h"

int guest_main(const char *command_line)
{
    uint32_t rounds = (uint32_t)option_number(command_line, "rounds", WORK_ROUNDS);

    print("work: started\n");
    print("work: %u rounds, checksum %llx\n", rounds, (unsigned long long)work_checksum(rounds));
    return 0;
}
