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

# the kernel
KERNEL_SRC := $(sort $(shell find kernel container hv -name '*.[cS]' 2>/dev/null))
KERNEL_OBJ := $(KERNEL_SRC:%=$(BUILD)/%.o)
KERNEL_LDS := kernel/boot/kernel.ld

.PHONY: all kernel images user guests root iso units clean
.SECONDARY:
all: kernel root iso
kernel: $(BUILD)/vivarium.elf32

# The Linux ABI's constants and structures, from Debian's linux-libc-dev and from nothing else in /usr/include.
UAPI := $(BUILD)/uapi/.made
$(UAPI): Makefile
	$(V)mkdir -p $(BUILD)/uapi
	$(V)ln -sfn /usr/include/linux $(BUILD)/uapi/linux
	$(V)ln -sfn /usr/include/asm-generic $(BUILD)/uapi/asm-generic
	$(V)ln -sfn /usr/include/video $(BUILD)/uapi/video
	$(V)ln -sfn /usr/include/x86_64-linux-gnu/asm $(BUILD)/uapi/asm
	$(V)touch $@

# All objects are made anew when the way they are made changes.
$(KERNEL_OBJ): Makefile | $(UAPI)

$(BUILD)/%.c.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(V)$(CC) $(CFLAGS_KERNEL) -c -o $@ $<

$(BUILD)/%.S.o: %.S
	@mkdir -p $(@D)
	@echo "  AS      $<"
	$(V)$(CC) $(CFLAGS_KERNEL) -D__ASSEMBLER__ -c -o $@ $<

# Linked twice: the first link says where the functions lie, the second has the table of their names for backtraces.
KERNEL_LINK := $(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
    -Wl,--no-warn-rwx-segments -T $(KERNEL_LDS)
SYMBOLS := $(BUILD)/symbols

$(BUILD)/vivarium.elf: $(KERNEL_OBJ) $(KERNEL_LDS) tools/symbols.py
	@echo "  LD      $@"
	$(V)python3 tools/symbols.py </dev/null >$(SYMBOLS).0.S && $(CC) -c -o $(SYMBOLS).0.o $(SYMBOLS).0.S
	$(V)$(KERNEL_LINK) -o $(SYMBOLS).elf $(KERNEL_OBJ) $(SYMBOLS).0.o
	$(V)nm -n $(SYMBOLS).elf | python3 tools/symbols.py >$(SYMBOLS).S && $(CC) -c -o $(SYMBOLS).o $(SYMBOLS).S
	$(V)$(KERNEL_LINK) -o $@ $(KERNEL_OBJ) $(SYMBOLS).o

# QEMU's -kernel takes a 32-bit ELF only.
$(BUILD)/vivarium.elf32: $(BUILD)/vivarium.elf
	$(V)$(OBJCOPY) -O elf32-i386 $< $@

# newlib: Debian's source, the host's compiler, kept outside the tree
CACHE   ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vivarium
NEWLIB_SOURCE ?= $(lastword $(sort $(wildcard /usr/src/newlib/newlib-*.tar.*)))
NEWLIB_PORT := libc/build-newlib.sh $(sort $(shell find libc/newlib -type f))
NEWLIB_DEST := $(CACHE)/$(notdir $(NEWLIB_SOURCE:.tar.xz=))-$(shell cat $(NEWLIB_PORT) | sha256sum | cut -c 1-12)
NEWLIB  := $(NEWLIB_DEST)/x86_64-elf
NEWLIB_MADE := $(NEWLIB_DEST)/.made

$(NEWLIB_MADE):
	$(V)[ -n "$(NEWLIB_SOURCE)" ] || { echo "make: no newlib source: install the package newlib-source" >&2; exit 1; }
	$(V)CC=$(CC) libc/build-newlib.sh $(NEWLIB_SOURCE) libc/newlib $(NEWLIB_DEST)

# SYS_name for every __NR_name, as <sys/syscall.h> has them.
SYS_NAMES := $(BUILD)/libc/sys/syscall.h
$(SYS_NAMES): /usr/include/x86_64-linux-gnu/asm/unistd_64.h
	$(V)mkdir -p $(@D)
	$(V){ echo '#include <asm/unistd.h>'; sed -n 's/^#define __NR_\([a-z0-9_]*\).*/#define SYS_\1 __NR_\1/p' $<; } >$@

# user programs: user/NAME/ and user/NAME.c are /bin/NAME, tests/guest/NAME.c is /test/NAME, tests/bench/NAME.c /bench/NAME,
# tests/fuzz/NAME.c /fuzz/NAME
CFLAGS_USER := -std=gnu17 -O2 -g -nostdinc -fno-pic -fno-pie -fcf-protection=none -ffunction-sections -fdata-sections -MMD -MP \
    $(CFLAGS_WARN) -Wno-missing-prototypes -D_GNU_SOURCE= -I. -isystem libc/include -isystem libc/newlib -isystem $(BUILD)/libc \
    -isystem $(NEWLIB)/include -isystem $(shell $(CC) -print-file-name=include) -isystem $(BUILD)/uapi -isystem $(BUILD)/hostlib
CFLAGS_PROTECT := -fstack-protector-strong
# -u: our locks and signals are taken before newlib looks for its own.
LDFLAGS_USER := -static -nostdlib -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--gc-sections -Wl,-z,max-page-size=4096 -Wl,-u,__retarget_lock_acquire,-u,raise

# Libraries of Debian's that link against newlib as they are; only the headers named are seen.
HOSTLIB := /usr/lib/x86_64-linux-gnu
HOSTLIB_MADE := $(BUILD)/hostlib/.made
$(HOSTLIB_MADE):
	$(V)mkdir -p $(BUILD)/hostlib
	$(V)ln -sfn /usr/include/zlib.h /usr/include/x86_64-linux-gnu/zconf.h /usr/include/jsmn.h /usr/include/sha2.h $(BUILD)/hostlib
	$(V)[ -e $(BUILD)/hostlib/zconf.h ] || ln -sfn /usr/include/zconf.h $(BUILD)/hostlib
	$(V)touch $@

LIBC_SRC  := $(sort $(shell find libc -name '*.[cS]' 2>/dev/null))
LIBC_OBJ  := $(LIBC_SRC:%=$(BUILD)/u/%.o)
LIBC_CRT0 := $(filter %/crt0.S.o %/crt0.c.o,$(LIBC_OBJ))
LIBC_A    := $(BUILD)/u/libviv.a

USER_NAMES := $(sort $(patsubst user/%/,%,$(dir $(wildcard user/*/*.c))) $(patsubst user/%.c,%,$(wildcard user/*.c)))
BENCH_NAMES := $(sort $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c)))
TEST_NAMES := $(sort $(patsubst tests/guest/%.c,%,$(wildcard tests/guest/*.c)))
FUZZ_NAMES := $(sort $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c)))
user_src = $(sort $(shell find user/$(1) $(SHARED_$(1)) -name '*.[cS]' 2>/dev/null)) $(wildcard user/$(1).c)
user_place = $(if $(filter init,$(1)),sbin,bin)/$(1)

# Directories of user/lib whose sources a program shares.
SHARED_ctr := user/lib/oci
LIBS_vmm := $(HOSTLIB)/libz.a
LIBS_ctr := $(HOSTLIB)/libz.a $(HOSTLIB)/libmd.a

USER_PROGRAMS := $(USER_NAMES:%=$(BUILD)/bin/%)
TEST_PROGRAMS := $(TEST_NAMES:%=$(BUILD)/test/%) $(BENCH_NAMES:%=$(BUILD)/bench/%) $(FUZZ_NAMES:%=$(BUILD)/fuzz/%)
USER_OBJ := $(foreach n,$(USER_NAMES),$(patsubst %,$(BUILD)/u/%.o,$(call user_src,$(n))))
TEST_OBJ := $(TEST_NAMES:%=$(BUILD)/u/tests/guest/%.c.o) $(BENCH_NAMES:%=$(BUILD)/u/tests/bench/%.c.o) \
    $(FUZZ_NAMES:%=$(BUILD)/u/tests/fuzz/%.c.o)

user: $(USER_PROGRAMS) $(TEST_PROGRAMS)
$(LIBC_OBJ) $(USER_OBJ) $(TEST_OBJ): Makefile | $(UAPI) $(NEWLIB_MADE) $(SYS_NAMES) $(HOSTLIB_MADE)
$(LIBC_OBJ): CFLAGS_PROTECT := -fno-stack-protector

$(BUILD)/u/%.c.o: %.c
	@mkdir -p $(@D)
	@echo "  CC [u]  $<"
	$(V)$(CC) $(CFLAGS_USER) $(CFLAGS_PROTECT) -c -o $@ $<

$(BUILD)/u/%.S.o: %.S
	@mkdir -p $(@D)
	@echo "  AS [u]  $<"
	$(V)$(CC) $(CFLAGS_USER) -D__ASSEMBLER__ -c -o $@ $<

$(LIBC_A): $(filter-out $(LIBC_CRT0),$(LIBC_OBJ))
	$(V)rm -f $@ && ar rcsD $@ $^

# $(1) the program, $(2) its objects, $(3) further libraries
define link_program
$(1): $(2) $(LIBC_CRT0) $(LIBC_A)
	@mkdir -p $$(@D)
	@echo "  LD [u]  $$@"
	$$(V)$$(CC) $$(LDFLAGS_USER) -o $$@ $(LIBC_CRT0) $(2) $(3) -Wl,--start-group $(LIBC_A) \
	    $$(NEWLIB)/lib/libc.a $$(NEWLIB)/lib/libm.a -lgcc -Wl,--end-group
endef
$(foreach n,$(USER_NAMES),$(eval $(call link_program,$(BUILD)/bin/$(n),$(patsubst %,$(BUILD)/u/%.o,$(call user_src,$(n))),$(LIBS_$(n)))))
$(foreach n,$(TEST_NAMES),$(eval $(call link_program,$(BUILD)/test/$(n),$(BUILD)/u/tests/guest/$(n).c.o)))
$(foreach n,$(BENCH_NAMES),$(eval $(call link_program,$(BUILD)/bench/$(n),$(BUILD)/u/tests/bench/$(n).c.o)))
$(foreach n,$(FUZZ_NAMES),$(eval $(call link_program,$(BUILD)/fuzz/$(n),$(BUILD)/u/tests/fuzz/$(n).c.o)))

# guest kernels: tests/guests/NAME.c is /lib/guests/NAME, on the small floor in tests/guests/lib
GUEST_NAMES := $(sort $(patsubst tests/guests/%.c,%,$(wildcard tests/guests/*.c)))
GUEST_LIB   := $(patsubst %,$(BUILD)/g/%.o,$(wildcard tests/guests/lib/*.[cS]))
GUEST_LDS   := tests/guests/lib/guest.ld
GUEST32     := $(patsubst tests/guests/ia32/%.c,$(BUILD)/guests/%,$(wildcard tests/guests/ia32/*.c))
GUESTS      := $(GUEST_NAMES:%=$(BUILD)/guests/%) $(BUILD)/guests/flat $(BUILD)/guests/bzimage $(BUILD)/guests/count32 $(GUEST32)
CFLAGS_GUEST := -std=gnu17 -O2 -ffreestanding -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
    -fcf-protection=none -fno-asynchronous-unwind-tables -MMD -MP $(CFLAGS_WARN) -I.
GUEST_LINK := $(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments

guests: $(GUESTS)
$(BUILD)/g/%.o: %
	@mkdir -p $(@D)
	@echo "  CC [g]  $<"
	$(V)$(CC) $(CFLAGS_GUEST) -c -o $@ $<

$(BUILD)/guests/%: $(BUILD)/g/tests/guests/%.c.o $(BUILD)/g/user/work/checksum.c.o $(GUEST_LIB) $(GUEST_LDS)
	@mkdir -p $(@D)
	$(V)$(GUEST_LINK) -T $(GUEST_LDS) -o $@ $(filter %.o,$^)

$(BUILD)/guests/count32: $(BUILD)/guests/count
	$(V)$(OBJCOPY) -O elf32-i386 $< $@

$(BUILD)/guests/flat: TEXT := 0x200000
$(BUILD)/guests/bzimage: TEXT := 0
$(BUILD)/guests/flat $(BUILD)/guests/bzimage: $(BUILD)/guests/%: $(BUILD)/g/tests/guests/%.S.o
	@mkdir -p $(@D)
	$(V)$(GUEST_LINK) -Wl,-Ttext=$(TEXT) -o $@.elf $<
	$(V)$(OBJCOPY) -O binary -j .text $@.elf $@

# tests/guests/ia32/NAME.c is the 32-bit /lib/guests/NAME, for bt and vmm alike
GUEST32_LIB := $(patsubst %,$(BUILD)/g32/%.o,$(wildcard tests/guests/ia32/lib/*.[cS]))
GUEST32_LDS := tests/guests/ia32/lib/guest.ld
CFLAGS_GUEST32 := $(filter-out -mno-red-zone,$(CFLAGS_GUEST)) -m32 -march=i686 -fno-strict-aliasing

$(BUILD)/g32/%.o: %
	@mkdir -p $(@D)
	@echo "  CC [32] $<"
	$(V)$(CC) $(CFLAGS_GUEST32) -c -o $@ $<

$(GUEST32): $(BUILD)/guests/%: $(BUILD)/g32/tests/guests/ia32/%.c.o $(GUEST32_LIB) $(GUEST32_LDS)
	@mkdir -p $(@D)
	$(V)$(LD) -m elf_i386 -static --build-id=none -z max-page-size=4096 --no-warn-rwx-segments -T $(GUEST32_LDS) -o $@ $(filter %.o,$^)

# the root file system
BUSYBOX   ?= /bin/busybox
TEST_SCRIPTS := $(wildcard tests/guest/*.sh)
ROOT_DIRS := proc sys dev tmp run root lib/images lib/guests test var
ROOT_ITEMS = $(ROOT_DIRS:%=%/) bin/busybox=$(BUSYBOX) @$(BUSYBOX) etc=tools/rootfs/etc \
    $(foreach n,$(USER_NAMES),$(call user_place,$(n))=$(BUILD)/strip/bin/$(n)) \
    $(foreach n,$(TEST_NAMES),test/$(n)=$(BUILD)/strip/test/$(n)) \
    $(foreach n,$(BENCH_NAMES),bench/$(n)=$(BUILD)/strip/bench/$(n)) \
    $(foreach n,$(FUZZ_NAMES),fuzz/$(n)=$(BUILD)/strip/fuzz/$(n)) \
    $(foreach f,$(TEST_SCRIPTS),test/$(notdir $(f))=$(f)) \
    $(foreach g,$(notdir $(GUESTS)),lib/guests/$(g)=$(BUILD)/guests/$(g)) lib/images/busybox=$(BUILD)/images/busybox \
    lib/guests/vivarium=$(BUILD)/strip/vivarium.elf bin/nest=user/nest.sh
STRIPPED := $(USER_NAMES:%=$(BUILD)/strip/bin/%) $(TEST_NAMES:%=$(BUILD)/strip/test/%) $(BENCH_NAMES:%=$(BUILD)/strip/bench/%) \
    $(FUZZ_NAMES:%=$(BUILD)/strip/fuzz/%)

$(BUILD)/strip/%: $(BUILD)/%
	@mkdir -p $(@D)
	$(V)strip -o $@ $<

# The OCI image of the tests: Debian's busybox in two layers, by Debian's umoci.
IMAGE := $(BUILD)/images/busybox/index.json
images: $(IMAGE)
$(IMAGE): tools/image/busybox $(BUSYBOX)
	@echo "  IMAGE   $(@D)"
	$(V)tools/image/busybox $(BUSYBOX) $(@D)

root: $(BUILD)/root.cpio
$(BUILD)/root.cpio: $(STRIPPED) $(GUESTS) $(BUILD)/strip/vivarium.elf user/nest.sh $(IMAGE) $(TEST_SCRIPTS) $(wildcard tools/rootfs/etc/*) tools/viv/cpio.py $(BUSYBOX) Makefile
	@mkdir -p $(@D)
	@echo "  CPIO    $@"
	$(V)python3 tools/viv/cpio.py $@ $(ROOT_ITEMS)

# the boot image
iso: $(BUILD)/vivarium.iso
$(BUILD)/vivarium.iso: $(BUILD)/vivarium.elf32 $(BUILD)/root.cpio tools/viv/image.py
	@echo "  ISO     $@"
	$(V)PYTHONPATH=tools python3 -m viv.image $@ $(BUILD)/vivarium.elf32 "" $(BUILD)/root.cpio

# unit tests: tests/unit/NAME.c with the sources that its line `// with: FILE...` names
UNIT_NAMES := $(sort $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*.c)))
UNIT_PROGRAMS := $(UNIT_NAMES:%=$(BUILD)/unit/%)
UNIT_OBJ := $(UNIT_NAMES:%=$(BUILD)/t/tests/unit/%.c.o)
unit_src = $(shell sed -n 's|^// with: ||p' tests/unit/$(1).c) tests/unit/$(1).c
CFLAGS_UNIT := -std=gnu17 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
    -fno-builtin -MMD -MP -Wall -Wextra -Wno-unused-parameter -I.

units: $(UNIT_PROGRAMS)
$(BUILD)/t/%.c.o: %.c
	@mkdir -p $(@D)
	$(V)$(CC) $(CFLAGS_UNIT) -c -o $@ $<

define link_unit
$(BUILD)/unit/$(1): $(patsubst %,$(BUILD)/t/%.o,$(call unit_src,$(1)))
	@mkdir -p $$(@D)
	@echo "  UNIT    $$@"
	$$(V)$$(CC) -fsanitize=address,undefined -o $$@ $$^
endef
$(foreach n,$(UNIT_NAMES),$(eval $(call link_unit,$(n))))

clean:
	rm -rf $(BUILD)

-include $(KERNEL_OBJ:.o=.d) $(LIBC_OBJ:.o=.d) $(USER_OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(shell find $(BUILD)/t $(BUILD)/g $(BUILD)/g32 -name '*.d' 2>/dev/null)
