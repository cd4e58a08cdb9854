/* Error numbers: Linux's, in place of newlib's own; so no number is translated anywhere. */
#ifndef _SYS_ERRNO_H_
#define _SYS_ERRNO_H_

#include <asm/errno.h>
#include <sys/reent.h>

#ifndef _REENT_ONLY
#define errno (*__errno())
extern int *__errno(void);
#endif

extern const char *const _sys_errlist[];
extern int _sys_nerr;

#define ENOTSUP EOPNOTSUPP
#define EFTYPE 1999       /* of newlib alone: no kernel returns it */
#define __ELASTERROR 2000 /* newlib: users may add numbers above this */

#endif
