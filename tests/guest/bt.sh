#!/bin/sh
# One 32-bit kernel, three ways to run it: interpreted, translated, in the CPU's guest mode. All print the same.
# Then what bt says of files that are no kernels, and of guests that cannot go on.
BT=${BT:-/bin/bt}
VMM=${VMM:-/bin/vmm}
GUESTS=${GUESTS:-/lib/guests}
work=/tmp/bt-test.$$
failed=0
mkdir $work || exit 1

# result NAME STATUS EXPECTED: reports a status, and what is in $work/out when it is not the expected one.
result() {
    if [ $2 = $3 ]; then
        echo "ok   $1"
    else
        echo "FAIL $1: status $2, expected $3; it said:"
        cat $work/out
        failed=1
    fi
}

# same NAME GUEST ARGS...: the three ways end with status 0 and print the same.
same() {
    name=$1 guest=$GUESTS/$2
    shift 2
    timeout 30 $VMM "$@" $guest >$work/out 2>&1 </dev/null
    result "$name: runs under vmm" $? 0
    mv $work/out $work/vmm
    for mode in --interpret --stats; do # without --interpret it translates
        timeout 40 $BT $mode "$@" $guest >$work/out 2>$work/err </dev/null
        result "$name: runs under bt $mode" $? 0
        cmp $work/vmm $work/out >$work/cmp 2>&1
        status=$?
        [ $status = 0 ] || diff $work/vmm $work/out >>$work/cmp
        mv $work/cmp $work/out
        result "$name: bt $mode prints what vmm prints" $status 0
    done
}

# expect NAME STATUS TEXT ARGS...: bt ARGS ends with STATUS and says TEXT, in each of $modes.
expect() {
    name=$1 wanted=$2 text=$3
    shift 3
    for mode in $modes; do
        timeout 30 $BT $mode "$@" >$work/out 2>&1 </dev/null
        status=$?
        grep -qF -- "$text" $work/out || { echo "\"$text\" is not in:"; cat $work/out; status="$status and no text"; }
        result "$name $mode" "$status" $wanted
    done
}

same a_kernel_does_the_same_in_three_ways kernel32
same random_instructions_do_the_same_in_three_ways random32

# patch FILE OFFSET BYTES: a copy of the kernel, spoilt.
patch() {
    cp $GUESTS/kernel32 $work/$1
    printf "$3" | dd of=$work/$1 bs=1 seek=$2 conv=notrunc 2>/dev/null
}
head -c 6000 $GUESTS/kernel32 >$work/short
head -c 40 $GUESTS/kernel32 >$work/shorter
head -c 16384 /dev/zero >$work/zeros
patch badentry 24 '\000\000\000\001'
patch badplace 64 '\000\000\000\001'
patch badphoff 28 '\377\377\377\177'

modes=--stats
expect refuses_a_missing_kernel 2 "none: No such file" $work/none
expect refuses_what_is_not_multiboot 2 "zeros: no Multiboot header" $work/zeros
expect refuses_a_64_bit_kernel 2 "count: not a 32-bit x86 ELF program" $GUESTS/count
expect refuses_what_is_not_elf 2 "flat: not a 32-bit x86 ELF program" $GUESTS/flat
expect refuses_a_truncated_kernel 2 "truncated" $work/short
expect refuses_a_truncated_header 2 "no Multiboot header" $work/shorter
expect refuses_an_entry_outside 2 "e_entry 0x1000000 is in no segment" $work/badentry
expect refuses_a_segment_outside 2 "outside of the guest's memory" $work/badplace
expect refuses_headers_outside 2 "program headers are past the file's end" $work/badphoff
expect refuses_unknown_options 2 "--frob: unknown option" --frob 1 $GUESTS/kernel32
modes="--stats --interpret"
expect reports_a_jump_outside_of_memory 1 "EIP 0x7f000000: jump outside" --append end=1 $GUESTS/kernel32
expect reports_a_jump_far_outside 1 "EIP 0xffbc0010: jump outside" --append end=6 $GUESTS/kernel32
expect reports_an_unknown_instruction 1 "bytes d9 eb" --append end=2 $GUESTS/kernel32
expect reports_a_triple_fault 1 "bytes 0f 0b" --append end=3 $GUESTS/kernel32
expect reports_a_guest_that_halted 1 "bytes f4" --append end=4 $GUESTS/kernel32
expect reports_paging 1 "bytes 0f 22 c0" --append end=5 $GUESTS/kernel32

rm -rf $work
exit $failed
