/* Another name for termios.h. */
#ifndef VIV_SYS_TERMIOS_H
#define VIV_SYS_TERMIOS_H

#include <termios.h>

#endif
