#!/bin/sh
# Saving, restoring and migrating a running VM: nothing that it counts is lost or doubled, and a snapshot that is not
# whole, not ours or not one is refused by name of file and field.
VMM=${VMM:-/bin/vmm}
GUESTS=${GUESTS:-/lib/guests}
work=/tmp/snapshot-test.$$
control=$work/control
failed=0
mkdir $work || exit 1

# check NAME STATUS TEXT: the last command ended with $got and its output in $work/out contains TEXT.
check() {
    if [ $got != $2 ]; then
        echo "FAIL $1: status $got, expected $2; it said:"
    elif ! grep -qF -- "$3" $work/out; then
        echo "FAIL $1: \"$3\" is not in its output:"
    else
        echo "ok   $1"
        return
    fi
    cat $work/out
    failed=1
}

# expect NAME STATUS TEXT ARGS...: vmm ARGS ends with STATUS and its output contains TEXT.
expect() {
    name=$1 status=$2 text=$3
    shift 3
    timeout 60 "$VMM" "$@" >$work/out 2>&1 </dev/null
    got=$?
    check $name $status "$text"
}

# start COUNT ARGS...: a guest that counts, with its console in $work/first, at least at 2 when this returns. It does
# what $words say besides, and $input is typed at it.
words= input=/dev/null
start() {
    count=$1
    shift
    : >$work/first # the last guest's counts are not this one's
    "$VMM" --control $control "$@" --append "count=$count $words" $GUESTS/steady >$work/first 2>&1 <$input &
    until grep -q "count 2" $work/first 2>/dev/null; do
        kill -0 $! || break
        usleep 1000
    done
}

# counted NAME COUNT FILE...: the files together have each number from 1 to COUNT once, in order, and no wrong memory.
counted() {
    name=$1 n=$2
    shift 2
    cat "$@" | grep "^count" >$work/all # the move may be in the middle of a line
    seq $n | sed 's/^/count /' | cmp - $work/all >$work/out 2>&1
    got=$?
    tail -n 3 "$@" >>$work/out
    check $name 0 "wrong 0"
}

start 600
expect saves_a_running_guest 0 "steady: saved to $work/snap" save $control $work/snap
wait
counted goes_on_after_it_was_saved 600 $work/first

# A snapshot has no console: the restored guest counts on from where it was saved.
"$VMM" restore $work/snap >$work/second 2>&1 </dev/null
got=$?
cp $work/second $work/out
check restores_a_saved_guest 0 "count 600"
"$VMM" restore $work/snap 2>&1 </dev/null | cmp - $work/second >$work/out 2>&1
got=$?
echo same >>$work/out
check restores_it_again_to_the_same 0 same

start 600
expect saves_and_stops_a_guest 0 "saved to $work/stop and stopped" save --stop $control $work/stop
wait
"$VMM" restore --control $control $work/stop >$work/second 2>&1 </dev/null
counted loses_and_doubles_no_count 600 $work/first $work/second
[ -e $control ]
got=$?
echo gone >$work/out
check removes_its_control_fifo 1 gone

# migrate NAME ARGS...: a guest of these options moves to a second monitor while it counts.
migrate() {
    name=$1
    shift
    "$VMM" receive $work/link >$work/second 2>&1 </dev/null &
    start 1500 "$@"
    until [ -p $work/link.back ]; do usleep 1000; done
    expect $name 0 "steady: migrated to $work/link: downtime " migrate $control $work/link
    wait
}

migrate moves_a_guest_that_runs
counted counts_on_across_the_move 1500 $work/first $work/second
migrate moves_a_guest_of_two_processors --cpus 2
counted counts_on_with_two_processors 1500 $work/first $work/second

# Devices: a disk, whose reads only the monitor writes to memory, and what was typed and not read yet.
truncate -s 64K $work/disk
printf "what was typed stays." >$work/keys
words="disk=1 typed=1" input=$work/keys
start 1500 --disk $work/disk --rng --balloon 8
expect saves_and_stops_a_guest_with_devices 0 "saved to $work/virtio and stopped" save --stop $control $work/virtio
wait
(cd / && exec "$VMM" restore $work/virtio >$work/second 2>&1 </dev/null)
counted loses_nothing_of_a_disk 1500 $work/first $work/second
cp $work/second $work/out
check keeps_what_was_typed 0 "typed: what was typed stays."
expect refuses_a_disk_that_has_changed 2 "slot 1: disk_crc: the disk has changed" restore $work/virtio
mv $work/disk $work/disk.later
expect refuses_a_disk_that_is_gone 2 "--disk $work/disk: No such file" restore $work/virtio
truncate -s 64K $work/disk
migrate moves_a_guest_with_a_disk --disk $work/disk
counted counts_on_with_a_disk 1500 $work/first $work/second
words= input=/dev/null

"$VMM" --control $control $GUESTS/spin >$work/first 2>&1 </dev/null &
until [ -p $control ]; do usleep 1000; done
expect refuses_a_link_that_nobody_receives 2 "$work/nolink: No such file" migrate $control $work/nolink
mkfifo $work/idle $work/idle.back
expect refuses_a_link_without_receiver 2 "$work/idle: nobody receives" migrate $control $work/idle
expect refuses_a_directory_that_cannot_be 2 "$work/none/snap: No such file" save $control $work/none/snap
expect refuses_an_order_to_a_taken_fifo 2 "--control $control: File exists" --control $control $GUESTS/count
kill $!
wait $!
got=$?
cp $work/first $work/out
check goes_on_after_all_that 143 spinning

# patch NAME FILE OFFSET BYTES: the snapshot $work/NAME is the good one with a file altered.
patch() {
    cp -r $work/stop $work/$1
    printf "$4" | dd of=$work/$1/$2 bs=1 seek=$3 conv=notrunc 2>/dev/null
}

patch magic memory 0 X
patch version memory 8 '\007'
patch header memory 24 '\001'
patch content machine 12 '\001'
patch page memory 300 '\125\252\125'
patch state machine 400 '\125\252\125'
patch kind memory 96 '\011'
patch tail memory 0 V
printf x >>$work/tail/memory
cp -r $work/stop $work/mixed && cp $work/snap/machine $work/mixed/machine
cp -r $work/stop $work/swapped && cp $work/stop/memory $work/swapped/machine
cp -r $work/stop $work/half && rm $work/half/machine
for n in 0 50 100 150 5000; do
    cp -r $work/stop $work/short$n
    head -c $n $work/stop/memory >$work/short$n/memory
done
cp -r $work/stop $work/shortstate && head -c 9000 $work/stop/machine >$work/shortstate/machine

expect refuses_what_is_no_snapshot 2 "$work/magic/memory: header: magic" restore $work/magic
expect refuses_an_unknown_version 2 "$work/version/memory: header: version 7, not 2" restore $work/version
expect refuses_an_altered_header 2 "$work/header/memory: header: crc 0x" restore $work/header
expect refuses_an_altered_page 2 "$work/page/memory: record 0 at 0x" restore $work/page
expect refuses_altered_state 2 "$work/state/machine: record 0 at 0x" restore $work/state
expect refuses_an_altered_record 2 "$work/kind/memory: record 0 at 0x" restore $work/kind
expect refuses_data_behind_the_end 2 "$work/tail/memory: end: more data follow" restore $work/tail
expect refuses_files_of_two_snapshots 2 "$work/mixed/machine: header: id " restore $work/mixed
expect refuses_swapped_files 2 "$work/swapped/machine: header: content 1, not 2" restore $work/swapped
expect refuses_a_missing_file 2 "$work/half/machine: No such file" restore $work/half
expect refuses_an_empty_file 2 "$work/short0/memory: header: magic" restore $work/short0
expect refuses_a_short_header 2 "$work/short50/memory: header: truncated: 50 of 96" restore $work/short50
expect refuses_a_short_record 2 "$work/short100/memory: record 0 at 0x64: truncated: 4 of" restore $work/short100
expect refuses_short_data 2 "$work/short150/memory: record 0 at 0x96: truncated: size " restore $work/short150
expect refuses_short_state 2 "$work/shortstate/machine: record " restore $work/shortstate
expect refuses_a_missing_snapshot 2 "$work/none/memory: No such file" restore $work/none
expect refuses_an_order_without_monitor 2 "$control: No such file" save $control $work/snap

"$VMM" receive $work/link >$work/out 2>&1 </dev/null &
until [ -p $work/link.back ]; do usleep 1000; done
cat $work/page/memory >$work/link
wait $!
got=$?
check refuses_what_is_no_migration 2 "$work/link: header: content 1, not 3"
[ -e $work/link ] || [ -e $work/link.back ]
got=$?
echo gone >$work/out
check removes_its_link 1 gone

rm -rf $work
exit $failed
