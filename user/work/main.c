/* work [ROUNDS]: computes, and prints when it starts and what came out. */
#include <stdio.h>
#include <stdlib.h>

#include "user/work/checksum.h"

int main(int argc, char **argv)
{
    unsigned long rounds = WORK_ROUNDS;

    if (argc > 1) {
        char *end;
        rounds = strtoul(argv[1], &end, 10);
        if (argc > 2 || *end || !*argv[1] || rounds > UINT32_MAX) {
            fprintf(stderr, "usage: work [ROUNDS]\n");
            return 2;
        }
    }
    puts("work: started");
    fflush(stdout);
    unsigned long long sum = work_checksum((uint32_t)rounds);
    printf("work: %lu rounds, checksum %llx\n", rounds, sum);
    return 0;
}
