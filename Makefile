# Vivarium's one Makefile. `make kernel` builds the kernel; see `./viv help` for everything else.

BUILD   ?= build
CC      ?= gcc
OBJCOPY ?= objcopy
V       ?= @

CFLAGS_WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter
CFLAGS_KERNEL := -std=gnu17 -O2 -g -ffreestanding -nostdinc -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone \
    -mgeneral-regs-only -fno-omit-frame-pointer -fno-stack-protector -fno-strict-aliasing \
    -fcf-protection=none -fno-asynchronous-unwind-tables -MMD -MP $(CFLAGS_WARN) \
    -I. -isystem $(shell $(CC) -print-file-name=include) -isystem $(BUILD)/uapi

# ---- the kernel -------------------------------------------------------------------------------
KERNEL_SRC := $(sort $(shell find kernel container hv -name '*.[cS]' 2>/dev/null))
KERNEL_OBJ := $(KERNEL_SRC:%=$(BUILD)/%.o)
KERNEL_LDS := kernel/boot/kernel.ld

.PHONY: all kernel clean
all: kernel
kernel: $(BUILD)/vivarium.elf32

# The Linux ABI's constants and structures, from Debian's linux-libc-dev and from nothing else in /usr/include.
UAPI := $(BUILD)/uapi/.made
$(UAPI):
	$(V)mkdir -p $(BUILD)/uapi
	$(V)ln -sfn /usr/include/linux $(BUILD)/uapi/linux
	$(V)ln -sfn /usr/include/asm-generic $(BUILD)/uapi/asm-generic
	$(V)ln -sfn /usr/include/x86_64-linux-gnu/asm $(BUILD)/uapi/asm
	$(V)touch $@

$(KERNEL_OBJ): | $(UAPI)

$(BUILD)/%.c.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(V)$(CC) $(CFLAGS_KERNEL) -c -o $@ $<

$(BUILD)/%.S.o: %.S
	@mkdir -p $(@D)
	@echo "  AS      $<"
	$(V)$(CC) $(CFLAGS_KERNEL) -D__ASSEMBLER__ -c -o $@ $<

$(BUILD)/vivarium.elf: $(KERNEL_OBJ) $(KERNEL_LDS)
	@echo "  LD      $@"
	$(V)$(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
	    -Wl,--no-warn-rwx-segments -T $(KERNEL_LDS) -o $@ $(KERNEL_OBJ)

# QEMU's -kernel takes a 32-bit ELF only.
$(BUILD)/vivarium.elf32: $(BUILD)/vivarium.elf
	$(V)$(OBJCOPY) -O elf32-i386 $< $@

clean:
	rm -rf $(BUILD)

-include $(KERNEL_OBJ:.o=.d)
