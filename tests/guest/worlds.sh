#!/bin/sh
# `worlds -1` shows a process and a virtual machine with their names, and that they compute.
failed=0
work 100000 >/dev/null &
process=$!
vmm --name guinea-pig --mem 8 /lib/guests/spin >/dev/null 2>&1 </dev/null &
vm=$!
sleep 1
worlds -1 >/tmp/worlds.$$
status=$?
kill -9 $process $vm

# shows NAME PATTERN: one line of the output matches.
shows() {
    if grep -q "$2" /tmp/worlds.$$; then
        echo "ok   $1"
    else
        echo "FAIL $1: no line matches \"$2\" in:"
        cat /tmp/worlds.$$
        failed=1
    fi
}

[ $status = 0 ] || { echo "FAIL worlds: status $status"; failed=1; }
shows a_process_by_name_and_pid "^process  *work  *pid $process "
shows a_busy_process_uses_the_cpu "^process  *work  *pid $process  *[1-9]"
shows a_vm_by_the_name_it_was_given "^vm  *guinea-pig  *1 vCPU "
shows a_busy_vm_uses_the_cpu "^vm  *guinea-pig  *1 vCPU  *[1-9]"
shows a_vms_exits "^vm  *guinea-pig .* [0-9][0-9]* exits$"
shows a_processs_system_calls "^process  *worlds .* [0-9][0-9]* syscalls$"
rm -f /tmp/worlds.$$
exit $failed
