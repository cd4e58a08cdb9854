/* ucontext_t is in signal.h. */
#ifndef VIV_UCONTEXT_H
#define VIV_UCONTEXT_H

#include <signal.h>

#endif
