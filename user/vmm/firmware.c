/* A BIOS instead of a loaded kernel: the vCPU starts at its reset vector. */
#include "user/vmm/machine.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "user/vmm/say.h"

enum { FIRMWARE_SLOT = 2, UNIT = 0x10000, LOW_SIZE = 0x20000, MOST = 0x100000 };

#define FOUR_GIB 0x100000000ull

void machine_load_firmware(struct machine *m, const char *file)
{
    struct image image = image_read(file);

    if (!image.size || image.size % UNIT || image.size > MOST)
        die(STATUS_USAGE, "%s: size %llu: no firmware: not 64 KiB to 1 MiB in steps of 64 KiB",
            file, (unsigned long long)image.size);
    uint8_t *rom =
        mmap(NULL, image.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (rom == MAP_FAILED)
        die_errno("%s", file);
    memcpy(rom, image.data, image.size);
    struct kvm_userspace_memory_region region = {
        .slot = FIRMWARE_SLOT,
        .flags = KVM_MEM_READONLY,
        .guest_phys_addr = FOUR_GIB - image.size,
        .memory_size = image.size,
        .userspace_addr = (uintptr_t)rom,
    };
    if (ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        die_errno("KVM_SET_USER_MEMORY_REGION: the firmware's slot");
    /* What real mode reaches is a copy that can be written to, as a PC's shadow RAM is. */
    size_t low = image.size < LOW_SIZE ? image.size : LOW_SIZE;
    memcpy(m->ram + MIB - low, rom + image.size - low, low);
    image_free(&image);
}
