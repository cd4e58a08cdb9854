/* personality(2). */
#ifndef VIV_SYS_PERSONALITY_H
#define VIV_SYS_PERSONALITY_H

#include <linux/personality.h>

int personality(unsigned long persona);

#endif
