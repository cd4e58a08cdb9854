#!/bin/sh
# nest [--mem MB] [WORD...]: Vivarium in Vivarium. Packs this machine's programs and boots the same kernel with
# them as a guest, with the words on its command line.
mem=128
if [ "$1" = --mem ]; then
    mem=$2
    shift 2
fi
kernel=/lib/guests/vivarium
root=/tmp/nest.$$
trap 'rm -rf $root $root.cpio' EXIT
mkdir $root && cd $root || exit 1
mkdir proc sys dev tmp run root
cp -a /bin /sbin /etc /lib . || exit 1
rm lib/guests/vivarium
find . | cpio -o -H newc >$root.cpio 2>/dev/null || exit 1
cd /
rm -rf $root
vmm --mem "$mem" --name vivarium --module $root.cpio --append "$*" $kernel
