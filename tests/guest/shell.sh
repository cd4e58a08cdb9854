#!/bin/sh
# The shell as people use it: pipes, redirection, substitution, globbing, jobs, traps, scripts.
failed=0
dir=/tmp/shell.$$
mkdir $dir && cd $dir || exit 1

# gives NAME EXPECTED SCRIPT: what a fresh shell prints for a script, errors included.
gives() {
    actual=$(sh -c "$3" 2>&1)
    if [ "$actual" = "$2" ]; then
        echo "ok   $1"
    else
        echo "FAIL $1: expected \"$2\", actual \"$actual\""
        failed=1
    fi
}

gives pipes_carry_through_many_programs 50 'seq 1 100 | grep -v 7 | sort -rn | tail -n +32 | wc -l'
gives exit_status_of_a_pipe_is_its_lasts 3 'true | (exit 3); echo $?'
gives early_end_of_a_reader_ends_the_writer 1 'yes 1 | head -n 1'
gives redirection_writes_appends_and_reads "a
b" 'echo a >f; echo b >>f; cat <f'
gives errors_are_redirected_apart "out" 'sh -c "echo out; echo err >&2" 2>e; grep -q err e || echo none'
gives here_documents_are_read "value 3" 'x=3; cat <<END
value $x
END'
gives command_substitution_nests "<inner>" 'echo "<$(echo $(echo inner))>"'
gives globs_are_expanded_in_order "g1 g2 g3" 'touch g3 g1 g2; echo g*'
gives quoted_globs_are_not "g*" 'echo "g*"'
gives background_jobs_are_waited_for "0 7" '(exit 7) & a=$!; true & wait $!; s=$?; wait $a; echo $s $?'
gives many_background_jobs_end 20 'for i in $(seq 20); do (echo x >>many) & done; wait; wc -l <many'
gives traps_run_on_signals "caught" 'trap "echo caught; exit" TERM; kill $$; sleep 1'
gives exit_traps_run "bye" 'trap "echo bye" EXIT; exit 0'
gives killed_children_are_told 137 'exec 2>/dev/null; sh -c "kill -9 \$\$"; echo $?'
gives subshells_do_not_change_the_parent "1 /" 'cd /; x=1; (x=2; cd /tmp); echo $x $PWD'
gives functions_and_arithmetic_work 120 'f() { if [ $1 -le 1 ]; then echo 1; else echo $(($1 * $(f $(($1 - 1))))); fi; }; f 5'
gives loops_read_lines "3:three" 'printf "1 one\n2 two\n3 three\n" | while read n w; do [ $n = 3 ] && echo $n:$w; done'
gives case_and_parameter_expansion_work "txt name" 'f=dir/name.txt; case $f in *.txt) b=${f##*/}; echo ${f##*.} ${b%.txt};; esac'
gives descriptors_can_be_moved "to three" 'exec 3>three; echo to three >&3; exec 3>&-; cat three'
gives missing_commands_give_127 127 'no-such-command 2>/dev/null; echo $?'
gives files_without_x_give_126 126 'echo echo hi >noexec; ./noexec 2>/dev/null; echo $?'
gives scripts_run_by_their_first_line "script arg" 'printf "#!/bin/sh\necho script \$1\n" >s; chmod +x s; ./s arg'
gives umask_holds_for_new_files "-rw-------" 'umask 077; touch private; ls -l private | cut -c 1-10'
gives ulimit_holds "16" 'ulimit -n 16; ulimit -n'
gives time_passes "slept" 's=$(date +%s); sleep 1; [ $(($(date +%s) - s)) -ge 1 ] && echo slept'
gives timeouts_kill 143 'exec 2>/dev/null; timeout 1 sleep 10; echo $?'
gives process_groups_can_be_killed "gone" 'exec 2>/dev/null; setsid sh -c "sleep 100 & sleep 100 & echo \$\$ >group; wait" & sleep 1; kill -9 -$(cat group); sleep 1; kill -0 -$(cat group) || echo gone'
gives fifos_connect_processes "through the fifo" 'mkfifo p; echo through the fifo >p & cat p'
gives deep_recursion_of_processes_works 30 'cat >deep <<"END"
[ $1 = 0 ] && echo 30 && exit
sh deep $(($1 - 1))
END
sh deep 30'

cd / && rm -rf $dir
exit $failed
