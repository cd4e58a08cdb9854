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

guest "disk=1 write=7 msi=1" --disk $work/disk </dev/null
check interrupts_by_messages "messages done" "virtio: 0 wrong"

guest "disk=1 write=7" --disk $work/disk,ro </dev/null
check reads_a_read_only_disk "disk done" "virtio: 0 wrong"

echo "typed in." | guest "console=1" --console virtio
check writes_a_page_and_reads_the_keys "AAAA" "ZZZZ" "typed in." "console done" "virtio: 0 wrong"
timeout 60 $VMM --disk $work/disk $GUESTS/hostile >$work/out 2>&1 </dev/null
check survives_hostile_queues "36 cases, 0 wrong"

# watch TEXT COMMAND...: runs COMMAND when the guest's output, which comes in on standard input, has TEXT.
watch() {
    text=$1
    shift
    while read -r line; do
        echo "$line" >>$work/out
        case $line in *"$text"*) "$@" ;; esac
    done
}

# meanwhile WORDS TEXT COMMAND...: the driver with the disk, and COMMAND when it has said TEXT.
meanwhile() {
    words=$1
    shift
    : >$work/out
    $VMM --disk $work/disk --append "$words" $GUESTS/virtio >$work/fifo 2>&1 </dev/null &
    watch "$@" <$work/fifo
    wait $!
}

kill_it() {
    kill -9 $!
}

mkfifo $work/fifo
meanwhile "disk=1 write=5 spin=1" "virtio: 0 wrong" kill_it 2>/dev/null
[ $? = 137 ] && guest "disk=1 write=5" --disk $work/disk,ro </dev/null
check loses_nothing_when_killed_after_a_flush "virtio: 0 wrong"

meanwhile "disk=1 cut=1" "disk done" truncate -s 512 $work/disk
check answers_for_a_disk_that_shrinks "disk cut" "virtio: 0 wrong"

truncate -s 131072 $work/disk
meanwhile "disk=1 cut=2" "disk done" rm $work/disk
check answers_for_a_disk_that_vanishes "disk cut" "virtio: 0 wrong"

# refuses NAME TEXT ARGS...
refuses() {
    name=$1 text=$2
    shift 2
    $VMM "$@" $GUESTS/virtio >$work/out 2>&1 </dev/null
    [ $? = 2 ]
    check $name "$text"
}

head -c 700 /dev/zero >$work/odd
: >$work/empty
refuses refuses_a_missing_disk "--disk $work/none: No such file" --disk $work/none
refuses refuses_a_directory "--disk $work: " --disk $work,ro
refuses refuses_a_disk_of_odd_size "--disk $work/odd: 700 bytes are not" --disk $work/odd
refuses refuses_an_empty_disk "--disk $work/empty: 0 bytes are not" --disk $work/empty
refuses refuses_an_unknown_console "--console none: not serial or virtio" --console none
refuses refuses_a_balloon_of_no_size "--balloon x: not a number of MiB" --balloon x

rm -rf $work
exit $failed
