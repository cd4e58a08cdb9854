/* sysinfo(2). */
#ifndef VIV_SYS_SYSINFO_H
#define VIV_SYS_SYSINFO_H

#include <linux/sysinfo.h>

int sysinfo(struct sysinfo *info);
int get_nprocs(void);
int get_nprocs_conf(void);

#endif
