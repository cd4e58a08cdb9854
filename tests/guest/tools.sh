#!/bin/sh
# Debian's busybox, unmodified: the tools that people type, each on something it can get wrong.
failed=0
dir=/tmp/tools.$$
mkdir $dir && cd $dir || exit 1

# gives NAME EXPECTED SCRIPT
gives() {
    actual=$(sh -c "$3" 2>&1)
    if [ "$actual" = "$2" ]; then
        echo "ok   $1"
    else
        echo "FAIL $1: expected \"$2\", actual \"$actual\""
        failed=1
    fi
}

seq 1 1000 >numbers
printf 'pear 3\napple 1\nfig 2\n' >fruit

gives ls_shows_modes_links_and_sizes "-rw-r----- 1 root 3893 numbers" 'chmod 640 numbers; ls -l numbers | awk "{print \$1, \$2, \$3, \$5, \$9}"'
gives ls_lists_recursively "3" 'mkdir -p a/b/c; ls -R a | grep -c :'
gives cat_joins "1 2" 'echo 1 >one; echo 2 >two; cat one two | tr "\n" " " | sed "s/ $//"'
gives grep_finds_recursively "a/b/found" 'echo needle >a/b/found; grep -rl needle a'
gives sed_edits_in_place "apples 1" 'cp fruit f; sed -i "s/apple/apples/" f; grep apples f'
gives awk_sums 500500 'awk "{ s += \$1 } END { print s }" numbers'
gives sort_sorts_by_key "apple fig pear" 'sort -k2n fruit | cut -d" " -f1 | tr "\n" " " | sed "s/ $//"'
gives uniq_counts "2 b" 'printf "a\nb\nb\n" | uniq -c | sort -n | tail -n 1 | sed "s/^ *//"'
gives find_finds_by_type_and_name "a/b/c" 'find a -type d -name c'
gives find_executes "3893" 'find . -name numbers -exec wc -c {} \; | cut -d" " -f1'
gives xargs_runs "1 2 3" 'printf "1\n2\n3\n" | xargs echo'
gives tar_packs_and_unpacks "same" 'mkdir t; cp numbers t; ln -s numbers t/link; chmod 755 t/numbers; tar cf t.tar t; mv t t0; tar xf t.tar; cmp t/numbers t0/numbers && [ -x t/numbers ] && [ "$(readlink t/link)" = numbers ] && echo same'
gives gzip_compresses_and_back "same" 'cp numbers g; gzip g; [ $(wc -c <g.gz) -lt 3000 ] && gunzip g.gz; cmp g numbers && echo same'
gives tar_of_gzip_works "a/b/found" 'tar czf a.tgz a; tar tzf a.tgz | grep found'
gives md5sum_and_sha256sum_agree_with_known_sums "d41d8cd98f00b204e9800998ecf8427e e3b0c44298fc1c14" 'echo $(md5sum </dev/null | cut -c 1-32) $(sha256sum </dev/null | cut -c 1-16)'
gives dd_copies_blocks "4096 same" 'dd if=/dev/urandom of=r bs=1k count=4 2>/dev/null; dd if=r of=r2 bs=17 2>/dev/null; echo $(wc -c <r2) $(cmp r r2 && echo same)'
gives ps_shows_processes "1" 'sleep 76 & until ps | grep "^ *$! .* sleep 76\$" >/dev/null; do sleep 0.1; done; echo 1; kill $!'
gives kill_ends_and_ps_forgets "0" 'exec 2>/dev/null; sleep 77 & kill $!; wait $!; ps | grep -c "^ *$! "'
gives mount_lists_and_mounts "tmpfs" 'mkdir m; mount -t tmpfs none m; mount | grep "$PWD/m " | cut -d" " -f5; umount m'
gives df_shows_file_systems "1" 'df /dev | grep -c /dev'
gives free_and_uptime_read_proc "ok" 'free >/dev/null && uptime >/dev/null && echo ok'
gives cp_keeps_what_it_is_told "755 link" 'mkdir c; touch c/f; chmod 755 c/f; ln -s f c/l; cp -a c d; echo $(stat -c %a d/f) $([ -L d/l ] && echo link)'
gives mv_and_rm_work "gone" 'mkdir x; mv x y; rm -r y; [ -e x ] || [ -e y ] || echo gone'
gives ln_makes_hard_links "2" 'touch h; ln h h2; stat -c %h h'
gives touch_sets_times "2001" 'touch -d "2001-02-03 04:05" old; date -r old +%Y'
gives diff_and_patch_round_trip "same" 'cp fruit n; sed -i s/fig/kiwi/ n; diff -u fruit n >p; cp fruit o; patch o p >/dev/null; cmp n o && echo same'
gives ed_edits "b" 'printf "a\n" >e; printf "s/a/b/\nw\nq\n" | ed e >/dev/null; cat e'
gives cpio_round_trip "numbers" 'mkdir k; echo numbers | cpio -o -H newc 2>/dev/null >k/arch; (cd k && cpio -i <arch 2>/dev/null; ls numbers)'
gives hexdump_and_od_show_bytes "61 62" 'printf ab | hexdump -e "1/1 \"%02x \"" | sed "s/ $//"'
gives expr_and_bc_compute "42 12" 'echo $(expr 6 \* 7) $(echo "3*4" | bc)'
gives id_and_whoami_know_root "0 root" 'echo $(id -u) $(whoami)'
gives env_sets_and_clears "v" 'env -i A=v /bin/sh -c "echo \$A\$HOME"'
gives tee_splits "x
x" 'echo x | tee tee1; cat tee1'
gives unshare_makes_namespaces "1" 'unshare -pf sh -c "echo \$\$"'
gives hostname_is_the_namespaces "inner vivarium" 'echo $(unshare -u sh -c "hostname inner; hostname") $(hostname)'
gives chroot_changes_the_root "hello" 'mkdir -p root/bin; cp /bin/busybox root/bin; chroot root /bin/busybox echo hello'
gives logger_speaks_to_syslogd_through_its_socket "srw-rw-rw- test: hello" 'syslogd -n -O $PWD/log & until [ -S /dev/log ]; do sleep 0.1; done; logger -t test hello; until grep -q hello log 2>/dev/null; do sleep 0.1; done; echo $(ls -l /dev/log | cut -c 1-10) $(grep -o "test: .*" log); kill $!'

cd / && rm -rf $dir
exit $failed
