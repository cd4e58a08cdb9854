/* ucontext_t is in signal.h. */
#ifndef VIV_SYS_UCONTEXT_H
#define VIV_SYS_UCONTEXT_H

#include <signal.h>

#endif
