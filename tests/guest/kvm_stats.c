/* KVM_GET_STATS_FD: a file that describes itself, and counts what the guest did. */
#include "tests/guest/kvm_lib.h"

struct counts {
    struct kvm_stats_header header;
    char id[64];
    int fd;
};

static struct counts open_counts(int of)
{
    struct counts c = {.fd = ioctl(of, KVM_GET_STATS_FD, 0)};

    CHECK(c.fd >= 0);
    CHECK_EQ(pread(c.fd, &c.header, sizeof(c.header), 0), (long)sizeof(c.header));
    CHECK(c.header.name_size <= sizeof(c.id) && c.header.num_desc > 0);
    CHECK_EQ(pread(c.fd, c.id, c.header.name_size, c.header.id_offset), (long)c.header.name_size);
    return c;
}

/* -1: there is none of that name. */
static long count_of(const struct counts *c, const char *name)
{
    for (uint32_t i = 0; i < c->header.num_desc; i++) {
        union {
            struct kvm_stats_desc head;
            char all[128];
        } d;
        long size = (long)(sizeof(d.head) + c->header.name_size), value;
        CHECK_EQ(pread(c->fd, &d, (size_t)size, c->header.desc_offset + i * size), size);
        if (strcmp(d.all + sizeof(d.head), name) != 0)
            continue;
        CHECK_EQ(d.head.size, 1);
        CHECK_EQ(pread(c->fd, &value, sizeof(value), c->header.data_offset + d.head.offset), 8);
        return value;
    }
    return -1;
}

GUEST_CODE(ten_cpuids, 64, "mov $10, %esi; 1: xor %eax, %eax; cpuid; dec %esi; jnz 1b; hlt");

TEST(a_vcpu_counts_its_exits)
{
    struct vm v = vm_open(RAM);

    set_supported_cpuid(&v);
    load(&v, ten_cpuids, ten_cpuids_end);
    start_64(&v);
    struct counts c = open_counts(v.vcpu);
    CHECK_EQ(count_of(&c, "exits"), 0);
    run_to_halt(&v);
    CHECK(strstr(c.id, "vcpu-0") != NULL);
    CHECK(count_of(&c, "exits") > 10);
    if (count_of(&c, "cpuid_exits") >= 0) /* not on Linux */
        CHECK_EQ(count_of(&c, "cpuid_exits"), 10);
    CHECK_EQ(count_of(&c, "halt_exits"), 1);
    CHECK_EQ(count_of(&c, "no such count"), -1);
    vm_close(&v);
    CHECK(count_of(&c, "exits") >= 0); /* the file outlives them */
    close(c.fd);
}

TEST(a_vm_counts_its_nested_pages)
{
    struct vm v = vm_open(RAM);
    struct counts c = open_counts(v.vm);

    CHECK_EQ(count_of(&c, "pages_4k"), 0);
    load(&v, ten_cpuids, ten_cpuids_end);
    start_64(&v);
    run_to_halt(&v);
    CHECK(count_of(&c, "pages_4k") >= 3); /* the code, and the page tables */
    CHECK_EQ(count_of(&c, "pages_2m"), 0);
    CHECK_OK(munmap(v.mem, v.size));
    CHECK_EQ(count_of(&c, "pages_4k"), 0);
    v.mem = anonymous(v.size);
    close(c.fd);
    vm_close(&v);
}

TEST(it_is_read_only_and_ends)
{
    struct vm v = vm_open(RAM);
    struct counts c = open_counts(v.vcpu);
    static char all[65536];

    long size = read(c.fd, all, sizeof(all));
    CHECK(size > 0 && size < (long)sizeof(all));
    CHECK_EQ(read(c.fd, all, sizeof(all)), 0);
    CHECK_EQ(pread(c.fd, all, sizeof(all), 1), size - 1);
    CHECK_EQ(pread(c.fd, all, sizeof(all), size), 0);
    CHECK_ERR((int)write(c.fd, all, 1), EBADF);
    close(c.fd);
    vm_close(&v);
}
