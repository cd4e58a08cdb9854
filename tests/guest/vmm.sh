#!/bin/sh
# The monitor's promises: what its guests print, how it ends, and what it says of files that are no kernels.
# VMM and GUESTS may name others; run on Linux it is a test as well.
VMM=${VMM:-/bin/vmm}
GUESTS=${GUESTS:-/lib/guests}
work=/tmp/vmm-test.$$
failed=0
mkdir $work || exit 1

# expect NAME STATUS TEXT ARGS...: vmm ARGS ends with STATUS and its output contains TEXT.
expect() {
    name=$1 status=$2 text=$3
    shift 3
    timeout 30 "$VMM" "$@" >$work/out 2>&1 </dev/null
    got=$?
    report
}

report() {
    if [ $got != $status ]; then
        echo "FAIL $name: status $got, expected $status; it said:"
    elif ! grep -qF -- "$text" $work/out; then
        echo "FAIL $name: \"$text\" is not in its output:"
    else
        echo "ok   $name"
        return
    fi
    cat $work/out
    failed=1
}

# patch FILE OFFSET BYTES [KERNEL]: a copy of a kernel (the counting one), spoilt.
patch() {
    cp $GUESTS/${4:-count} $work/$1
    printf "$3" | dd of=$work/$1 bs=1 seek=$2 conv=notrunc 2>/dev/null
}

echo "content" >$work/module

expect counts_and_switches_off 0 "count 7" --append "count=7" $GUESTS/count
expect hands_over_the_command_line 0 "count x=1 count=1" --append "x=1 count=1" $GUESTS/count
expect hands_over_memory_size 0 "memory above 1 MiB: 7168 KiB" --mem 8 $GUESTS/count
expect hands_over_modules 0 'module 1: 8 bytes, "'$work'/module two", first byte c' \
    --module $work/module --module $work/module=two $GUESTS/count
expect passes_the_guests_status 9 "count 1" --append "status=9" $GUESTS/count
expect counts_exits 0 "exits: port I/O" --stats $GUESTS/count
expect loads_without_elf 0 "flat kernel" $GUESTS/flat
expect loads_32_bit_elf 0 "count 3" --append "count=3" $GUESTS/count32
expect enters_linux_in_64_bit_mode 0 "64 4 console=ttyS0" --kernel $GUESTS/bzimage
expect enters_linux_in_32_bit_mode 0 "32 4 console=ttyS0" --start 32 --kernel $GUESTS/bzimage
expect enters_linux_in_real_mode 0 "real mode, ranges 4 console=ttyS0" --start 16 --kernel $GUESTS/bzimage
expect hands_linux_its_command_line 0 " x=1 count=1" --append "x=1 count=1" $GUESTS/bzimage
expect hands_linux_its_initrd 0 "content" --initrd $work/module --start 32 $GUESTS/bzimage
expect interrupts_a_halted_guest 0 "30 ticks" --append "ticks=30" $GUESTS/timer
expect interrupts_a_spinning_guest 0 "30 ticks" --append "ticks=30 spin=1" $GUESTS/timer
expect memory_outside_the_slots_is_nowhere 0 "holes probed, 0 wrong" $GUESTS/hole
expect computes_what_a_process_does 0 "$(/bin/work 5 2>/dev/null | grep checksum || echo rounds)" \
    --append "rounds=5" $GUESTS/work
expect says_that_a_guest_crashed 1 "triple fault" $GUESTS/triple

name=types_to_the_guest status=0 text="typed in."
echo "typed in." | timeout 30 $VMM --append "ticks=2 echo=1" $GUESTS/timer >$work/out 2>&1
got=$?
report

name=a_spinning_guest_can_be_killed status=143 text="spinning"
$VMM $GUESTS/spin >$work/out 2>&1 </dev/null &
sleep 1
kill $!
wait $!
got=$?
report

head -c 4000 $GUESTS/count >$work/short
head -c 40 $GUESTS/count >$work/shorter
: >$work/empty
head -c 16384 /dev/zero >$work/zeros
patch badclass 4 '\003'
patch badmachine 18 '\050'
patch badtype 16 '\001'
patch badentry 24 '\000\000\000\001'
patch badphoff 32 '\377\377\377\177'
patch badphentsize 54 '\001'

head -c 800 $GUESTS/bzimage >$work/shortbz
head -c 550 $GUESTS/bzimage >$work/shorterbz
head -c 1400 $GUESTS/bzimage >$work/shortkernel
head -c 3000000 /dev/zero >$work/big
patch oldbz 518 '\001\002' bzimage
patch zimage 529 '\000' bzimage
patch hugebz 608 '\000\000\000\100' bzimage
patch no64bz 566 '\000' bzimage
patch lowbz 556 '\000\000\040\000' bzimage

expect refuses_a_truncated_bzimage 2 "$work/shortbz: setup_header: setup_sects 1 and syssize 0x40" $work/shortbz
expect refuses_a_truncated_setup_header 2 "$work/shorterbz: setup_header: truncated" $work/shorterbz
expect refuses_a_truncated_bzimage_kernel 2 "shortkernel: setup_header: setup_sects 1 and syssize 0x40" $work/shortkernel
expect refuses_an_old_boot_protocol 2 "$work/oldbz: setup_header: version 0x0201" $work/oldbz
expect refuses_a_zimage 2 "$work/zimage: setup_header: loadflags 0x00" $work/zimage
expect refuses_a_bzimage_that_does_not_fit 2 "$work/hugebz: setup_header: init_size 0x40000000" $work/hugebz
expect refuses_an_entry_that_is_not_there 2 "$work/no64bz: setup_header: xloadflags 0x0" --start 64 $work/no64bz
expect enters_what_has_32_bits_only_there 0 "32 4 console" $work/no64bz
expect refuses_an_unknown_entry 2 "--start 8: not 16" --start 8 $GUESTS/bzimage
expect refuses_an_initrd_that_does_not_fit 2 "$work/big: 3000000 bytes do not fit between the kernel's end at 0x110000 and 0x300000 (the end of memory)" \
    --mem 3 --initrd $work/big $GUESTS/bzimage
expect refuses_an_initrd_above_its_limit 2 "and 0x200001 (initrd_addr_max)" --initrd $work/big $work/lowbz
expect refuses_a_missing_initrd 2 "$work/none: No such file" --initrd $work/none $GUESTS/bzimage
expect refuses_an_initrd_for_multiboot 2 "--initrd $work/module: a Multiboot kernel" --initrd $work/module $GUESTS/count
expect refuses_a_long_command_line 2 "setup_header: cmdline_size 255: the command line has" \
    --append "$(head -c 300 /dev/zero | tr '\0' x)" $GUESTS/bzimage
expect refuses_a_missing_kernel 2 "$work/none: No such file" $work/none
expect refuses_a_directory 2 "$work: not a regular file" $work
expect refuses_an_empty_kernel 2 "$work/empty: no kernel: neither" $work/empty
expect refuses_what_is_no_kernel 2 "$work/zeros: no kernel: neither" $work/zeros
expect refuses_a_truncated_kernel 2 "$work/short" $work/short
expect refuses_a_truncated_header 2 "$work/shorter" $work/shorter
expect refuses_a_bad_class 2 "badclass: ELF header: EI_CLASS 3" $work/badclass
expect refuses_a_bad_machine 2 "badmachine: ELF header: e_machine" $work/badmachine
expect refuses_a_bad_type 2 "badtype: ELF header: e_type 1" $work/badtype
expect refuses_an_entry_outside 2 "badentry: ELF header: e_entry" $work/badentry
expect refuses_headers_outside 2 "badphoff: ELF header: e_phoff" $work/badphoff
expect refuses_small_headers 2 "badphentsize: ELF header: e_phentsize 1" $work/badphentsize
expect refuses_too_little_memory 2 "outside the guest's 2 MiB" --mem 2 $GUESTS/flat
expect refuses_a_missing_module 2 "$work/none: No such file" --module $work/none $GUESTS/count
expect refuses_a_bad_memory_size 2 "--mem 12x: not a number of MiB" --mem 12x $GUESTS/count
expect refuses_a_bad_number_of_cpus 2 "--cpus 17: not a number from 1 to 16" --cpus 17 $GUESTS/count
expect refuses_what_is_no_firmware 2 "$work/short: size 4000: no firmware" --bios $work/short
expect refuses_firmware_and_a_kernel 2 "usage: vmm" --bios $work/zeros $GUESTS/count
expect refuses_unknown_options 2 "--frob: unknown option" --frob 1 $GUESTS/count
expect refuses_no_kernel 2 "usage: vmm"

rm -rf $work
exit $failed
