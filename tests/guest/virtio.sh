#!/bin/sh
# The monitor's virtio devices, driven by a guest that keeps the rules.
# VMM and GUESTS may name others; run on Linux it is a test as well.
VMM=${VMM:-/bin/vmm}
GUESTS=${GUESTS:-/lib/guests}
work=/tmp/virtio-test.$$
failed=0
mkdir $work || exit 1

# check NAME TEXT...: the last command's status is 0 and its output has each text.
check() {
    got=$?
    name=$1
    [ $got = 0 ] || { echo "FAIL $name: status $got"; bad; return; }
    shift
    for text; do
        grep -qF -- "$text" $work/out || { echo "FAIL $name: \"$text\" is not in its output:"; bad; return; }
    done
    echo "ok   $name"
}

bad() {
    cat $work/out
    failed=1
}

# guest WORDS ARGS...: runs the driver.
guest() {
    words=$1
    shift
    timeout 60 $VMM "$@" --append "$words" $GUESTS/virtio >$work/out 2>&1
}

head -c 1048576 /dev/zero >$work/disk

guest "disk=1 write=7" --disk $work/disk </dev/null
check writes_and_reads_a_disk "disk of 2048 sectors, " "/disk" "disk done" "virtio: 0 wrong"

guest "disk=1 write=7" --disk $work/disk,ro </dev/null
check reads_a_read_only_disk "disk done" "virtio: 0 wrong"

echo "typed in." | guest "console=1" --console virtio
check writes_a_page_and_reads_the_keys "AAAA" "ZZZZ" "typed in." "console done" "virtio: 0 wrong"
rm -rf $work
exit $failed
