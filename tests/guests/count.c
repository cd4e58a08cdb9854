/* Counts, and says what the loader gave it: `count` on the command line is how far. */
#include "tests/guests/lib/guest.h"

int guest_main(const char *command_line)
{
    uint64_t n = option_number(command_line, "count", 5);

    print("command line: %s\n", command_line);
    print("memory above 1 MiB: %u KiB\n", memory_kib());
    for (unsigned i = 0; i < module_count(); i++) {
        struct module m = module_get(i);
        print("module %u: %u bytes, \"%s\", first byte %c\n", i, m.size, m.string,
              m.size ? m.data[0] : '-');
    }
    for (uint64_t i = 1; i <= n; i++)
        print("count %llu\n", (unsigned long long)i);
    return (int)option_number(command_line, "status", 0);
}
