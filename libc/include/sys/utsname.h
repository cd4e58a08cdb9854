/* uname(2). */
#ifndef VIV_SYS_UTSNAME_H
#define VIV_SYS_UTSNAME_H

#include <linux/utsname.h>

struct utsname {
    char sysname[65];
    char nodename[65];
    char release[65];
    char version[65];
    char machine[65];
    char domainname[65];
};
_Static_assert(sizeof(struct utsname) == sizeof(struct new_utsname), "the kernel's");

int uname(struct utsname *name);

#endif
