/* The kernel log. */
#ifndef VIV_SYS_KLOG_H
#define VIV_SYS_KLOG_H

int klogctl(int type, char *buffer, int size);

#endif
