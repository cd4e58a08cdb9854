// Address spaces: areas of user memory, demand paging, copy-on-write. One for each set of tasks
// that share CLONE_VM.
//
// Kernel lock held. What may sleep says so. Sizes are bytes and page multiples unless said.
#pragma once
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/x86/paging.h"

struct cgroup;
struct page;
struct vmobject;

// area.flags beside those of mmap(2).
#define AREA_DENY_WRITE                                                                            \
    0x80000000u // shared mapping of a file opened for reading: PROT_WRITE may not be added
#define AREA_DONTFORK 0x40000000u // MADV_DONTFORK
#define AREA_HUGEPAGE 0x20000000u // MADV_HUGEPAGE
#define AREA_FLAGS (AREA_DENY_WRITE | AREA_DONTFORK | AREA_HUGEPAGE)

struct area {
    struct aspace *aspace;
    vaddr_t start, end;
    u32 prot;                  // PROT_READ | PROT_WRITE | PROT_EXEC
    u32 flags;                 // MAP_SHARED or MAP_PRIVATE, MAP_GROWSDOWN
    struct vmobject *object;   // NULL: private anonymous
    u64 offset;                // pages into object
    struct list link;          // in aspace.areas, in address order
    struct area *left, *right; // in aspace.area_tree: areas before and after this one
    u32 priority;              // area.c: of the tree
    struct list object_link;   // in object->areas
    bool own_pages;            // private pages were put into it: fork must copy its entries
    char name[24];             // "[heap]", "[stack]", … or ""
    void *file; // the struct file mapped, for /proc/PID/maps: opaque here, counted through
                // area_file_ops
};

// How mm keeps the mapped file (kernel/fs) alive without knowing what it is; set by fs at start-up.
struct area_file_ops {
    void (*get)(void *file);
    void (*put)(void *file);
};
extern const struct area_file_ops *area_file_ops;

// Told before pages of a range stop being what they were (munmap, copy-on-write, fork, exit):
// nested page tables hang on it.
struct aspace_watcher {
    void (*invalidate)(struct aspace_watcher *w, vaddr_t start, vaddr_t end);
    void (*release)(struct aspace_watcher
                        *w); // the address space is going away; the watcher is already off its list
    struct list link;
};

struct aspace {
    u32 refs;
    paddr_t pml4;
    struct list areas;
    struct area *area_tree; // the same areas, to find one by its address
    struct area *last_hit;  // cache of the last lookup
    struct list watchers;
    struct cgroup *cgroup; // who pays
    vaddr_t brk_start, brk;
    vaddr_t mmap_base;                              // mappings grow down from here
    vaddr_t arg_start, arg_end, env_start, env_end; // for /proc/PID/cmdline, environ
    u64 size_limit;                                 // bytes of all areas together (RLIMIT_AS)
    u64 stack_limit; // MAP_GROWSDOWN areas grow to at most so many bytes (RLIMIT_STACK)
    u32 area_count;
    u32 generation;              // counts changes of areas, to notice them after a sleep
    u64 cpu_mask;                // CPUs that may hold its translations
    u64 resident, resident_peak; // pages mapped
    u64 faults;
    void *exe; // struct file of the program, counted through area_file_ops
};

struct aspace *aspace_create(struct cgroup *cg); // ERR_PTR
static inline struct aspace *aspace_get(struct aspace *as)
{
    as->refs++;
    return as;
}
// The last put unmaps all and frees it.
void aspace_put(struct aspace *as);
// fork: a copy that shares private pages until written. ERR_PTR.
struct aspace *aspace_fork(struct aspace *as, struct cgroup *cg);
// Pages from now on are charged to cg; what is charged already stays where it is (as in Linux's
// cgroup v2).
void aspace_set_cgroup(struct aspace *as, struct cgroup *cg);
// Loads CR3 for `as` (NULL: the kernel's own tables) on this CPU and keeps cpu_mask right.
void aspace_switch(struct aspace *from, struct aspace *to);

// The area that contains va, or NULL.
struct area *aspace_find(struct aspace *as, vaddr_t va);
// mmap(2) without the file table: returns the address or -errno. `object` (may be NULL) gets a
// reference of its own, `file` too.
long aspace_map(struct aspace *as, vaddr_t hint, u64 len, u32 prot, u32 flags,
                struct vmobject *object, u64 page_offset, void *file, const char *name);
// Makes a range present, for reading or writing: 0 or the first error of aspace_fault. Sleeps.
int aspace_populate(struct aspace *as, vaddr_t start, u64 len, bool write);
int aspace_unmap(struct aspace *as, vaddr_t start, u64 len);
int aspace_protect(struct aspace *as, vaddr_t start, u64 len, u32 prot);
long aspace_remap(struct aspace *as, vaddr_t old, u64 old_len, u64 new_len, u32 flags,
                  vaddr_t new_addr);
int aspace_advise(struct aspace *as, vaddr_t start, u64 len, int advice);
vaddr_t aspace_brk(struct aspace *as, vaddr_t brk); // brk(2): the new or the unchanged break
// Drops pages of obj from index on, wherever they are mapped (truncate).
void aspace_unmap_object(struct vmobject *obj, u64 first_page);
// Drops page p where it stands for obj's page `index`; private copies of that page stay.
void aspace_unmap_object_page(struct vmobject *obj, u64 index, const struct page *p);

// Makes va present for an access (PF_* of x86/trap.h) as a page fault would. 0, -EFAULT (no area or
// no right: SIGSEGV), -ENXIO (past the end of the object: SIGBUS), -ENOMEM (over a limit, after the
// OOM kill). May sleep.
int aspace_fault(struct aspace *as, vaddr_t va, u32 pf_flags);
// The page at va for access from outside (another task's memory, a guest): faults it in, gives it a
// reference. ERR_PTR as above. May sleep. *writable says if it may be mapped for writing without a
// further fault.
struct page *aspace_get_page(struct aspace *as, vaddr_t va, bool write, bool *writable);
// The first page of the block of memory that is mapped, writable, at the 2 MiB around va; NULL
// where they are not one block. Gives no reference and makes nothing present.
struct page *aspace_block(struct aspace *as, vaddr_t va);
// Copies from or to another address space (procfs: cmdline, mem). Returns bytes copied, may be
// short.
size_t aspace_read(struct aspace *as, vaddr_t va, void *buf, size_t n);
size_t aspace_write(struct aspace *as, vaddr_t va, const void *buf, size_t n);

void aspace_watch(struct aspace *as, struct aspace_watcher *w);
void aspace_unwatch(struct aspace *as, struct aspace_watcher *w);
// For /proc/meminfo and the OOM kill.
u64 aspace_virtual_size(struct aspace *as);
