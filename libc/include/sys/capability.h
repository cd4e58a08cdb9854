/* Capabilities as the kernel has them; there is no libcap. */
#ifndef VIV_SYS_CAPABILITY_H
#define VIV_SYS_CAPABILITY_H

#include <linux/capability.h>

int capget(cap_user_header_t header, cap_user_data_t data);
int capset(cap_user_header_t header, const cap_user_data_t data);

#endif
