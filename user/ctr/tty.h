// A terminal for a container: a pseudo-terminal pair, and carrying bytes between it and ours.
#pragma once
#include <stdbool.h>

struct tty {
    int master, slave; // -1: none
    const char *name;  // "/dev/pts/N"
};

int tty_open(struct tty *tty);
// Makes it the controlling terminal and descriptors 0 to 2 of this process, which leads a session.
int tty_adopt(int slave);
// Carries bytes, ours in raw mode meanwhile, until the other side hangs up.
void tty_relay(int master);
