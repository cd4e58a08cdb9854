/* What only programs need of signals, not newlib itself. */
#ifndef VIV_SIGNAL_H
#define VIV_SIGNAL_H

#include_next <signal.h>

#define SS_ONSTACK 1 /* of stack_t's ss_flags */
#define SS_DISABLE 2

/* The mask is saved with the rest. */
#include <setjmp.h>
typedef struct {
    jmp_buf registers;
    sigset_t mask;
    int masked;
} sigjmp_buf[1];

#define sigsetjmp(env, save)                                                                       \
    ((env)->masked = (save), sigprocmask(SIG_BLOCK, NULL, &(env)->mask), setjmp((env)->registers))

_Noreturn void siglongjmp(sigjmp_buf env, int value);

#endif
