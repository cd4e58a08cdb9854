/* Memory mappings. */
#ifndef VIV_SYS_MMAN_H
#define VIV_SYS_MMAN_H

#include <sys/types.h>
#include <linux/mman.h>
#include <linux/memfd.h>

#define MAP_FAILED ((void *)-1)
#define MAP_ANON MAP_ANONYMOUS

void *mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
int munmap(void *addr, size_t size);
int mprotect(void *addr, size_t size, int prot);
void *mremap(void *addr, size_t size, size_t new_size, int flags, ...);
int msync(void *addr, size_t size, int flags);
int madvise(void *addr, size_t size, int advice);
int mlock(const void *addr, size_t size);
int munlock(const void *addr, size_t size);
int mlockall(int flags);
int munlockall(void);
int memfd_create(const char *name, unsigned int flags);

#endif
