#!/bin/sh
# overlay: merged names, copy-up, whiteouts, opaque directories, read-only stacks, bad options.
work=/tmp/overlay-test.$$
failed=0
mkdir $work && cd $work || exit 1

# expect NAME WANTED GOT
expect() {
    if [ "$2" = "$3" ]; then
        echo "ok   $1"
    else
        echo "FAIL $1: expected '$2', got '$3'"
        failed=1
    fi
}

# refused NAME COMMAND...: the command fails
refused() {
    name=$1
    shift
    if "$@" 2>/dev/null; then
        echo "FAIL $name: $* succeeded"
        failed=1
    else
        echo "ok   $name"
    fi
}

mkdir -p top/d top/opq low/d low/gone low/opq up work m
echo one >top/a
echo two >low/a
echo b >low/b
echo x >top/d/x
echo y >low/d/y
echo g >low/gone/g
echo low >low/opq/low
echo high >top/opq/high
ln -s a low/link
mknod top/gone c 0 0
touch top/opq/.wh..wh..opq

mount -t overlay overlay -o lowerdir=top:low,upperdir=up,workdir=work m || exit 1
expect names_are_merged_and_hidden ". ./a ./b ./d ./d/x ./d/y ./link ./opq ./opq/high" \
    "$(cd m && find . | sort | xargs echo)"
expect the_topmost_file_counts one "$(cat m/a)"
expect links_lead_into_the_merged_tree one "$(cat m/link)"

exec 3<m/b
echo more >>m/a
expect a_file_is_copied_up_before_a_write "one more one one more" "$(xargs echo <m/a) $(cat top/a) $(xargs echo <up/a)"
inode=$(stat -c %i m/b)
chmod 600 m/b
expect a_copy_keeps_its_inode_number "$inode 600 644" "$(stat -c '%i %a' m/b) $(stat -c %a low/b)"
expect an_open_file_goes_on b "$(cat <&3)"
exec 3<&-

rm m/b
refused a_removed_name_is_gone cat m/b
expect a_removed_name_leaves_a_whiteout "character special file 0 0" "$(stat -c '%F %t %T' up/b)"
echo new >m/b
expect a_name_can_come_back "new regular file" "$(cat m/b) $(stat -c %F up/b)"

refused a_directory_with_names_stays rmdir m/d
rm -r m/d
mkdir m/d
expect a_new_directory_hides_the_old_one "" "$(ls m/d)"
expect and_is_marked .wh..wh..opq "$(ls -A up/d)"
refused marks_cannot_be_made touch m/d/.wh..wh..opq

mv m/a m/z
expect a_renamed_file_leaves_a_whiteout "one more b d link opq z" "$(xargs echo <m/z) $(ls m | xargs echo)"
mv m/opq m/opq2
expect a_directory_of_the_layers_moves_by_copying "high low/opq top/opq" "$(cat m/opq2/high) $(ls -d low/opq top/opq | xargs echo)"
mkdir m/new m/new/sub
mv m/new m/d
expect a_new_directory_moves_as_a_whole sub "$(ls m/d/new)"
ln m/b m/hard
echo again >m/hard
expect hard_links_share again "$(cat m/b)"
expect the_layers_below_are_as_they_were "two b x y low high" \
    "$(cat low/a low/b top/d/x low/d/y low/opq/low top/opq/high | xargs echo)"
expect the_work_directory_is_empty "" "$(ls -A work)"

umount m
mount -t overlay overlay -o lowerdir=up:top:low m
expect a_stack_without_upper_shows_the_same ". ./b ./d ./d/new ./d/new/sub ./hard ./link ./opq2 ./opq2/high ./z" \
    "$(cd m && find . | sort | xargs echo)"
refused a_stack_without_upper_is_read_only touch m/x
umount m

refused a_missing_layer_is_refused mount -t overlay overlay -o lowerdir=nowhere m
refused an_unknown_option_is_refused mount -t overlay overlay -o lowerdir=low,sideways=1 m
refused upper_without_work_is_refused mount -t overlay overlay -o lowerdir=low,upperdir=up m
refused work_inside_upper_is_refused mount -t overlay overlay -o lowerdir=low,upperdir=up,workdir=up/d m
cd / && rm -r $work
exit $failed
