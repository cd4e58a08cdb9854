#!/bin/sh
# Build newlib from Debian's newlib-source for our port: build-newlib.sh TARBALL PORT DEST
# PORT holds the headers that give newlib Linux's numbers; the library and its headers land in DEST/x86_64-elf.
# Two makes that want the same DEST wait for one another, and the second finds it done.
set -eu
tarball=$1 port=$(realpath "$2") dest=$3
mkdir -p "$dest"
exec 9>"$dest/.lock"
flock 9
[ ! -e "$dest/.made" ] || exit 0
work=$(mktemp -d "$dest/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/src" "$work/obj" "$work/uapi"
ln -s /usr/include/linux /usr/include/asm-generic /usr/include/x86_64-linux-gnu/asm "$work/uapi/"
echo "  NEWLIB  $(basename "$tarball") (once, half a minute)"
tar xf "$tarball" -C "$work/src" --strip-components=1
gcc=${CC:-gcc}
cd "$work/obj"
{
    "$work/src/configure" --target=x86_64-elf --prefix="$dest" \
        --enable-newlib-retargetable-locking --enable-newlib-global-stdio-streams \
        --enable-newlib-io-long-long --enable-newlib-io-c99-formats \
        --disable-newlib-supplied-syscalls --disable-multilib --disable-nls \
        --disable-libgloss --disable-newlib-wide-orient --disable-newlib-fvwrite-in-streamio \
        CC_FOR_TARGET="$gcc" AR_FOR_TARGET=ar RANLIB_FOR_TARGET=ranlib AS_FOR_TARGET=as \
        CFLAGS_FOR_TARGET="-O2 -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none -w \
            -ffunction-sections -DMISSING_SYSCALL_NAMES -DSIGNAL_PROVIDED -DHAVE_BLKSIZE -DHAVE_FCNTL \
            -nostdinc -I$port -isystem $work/uapi -isystem $($gcc -print-file-name=include)" &&
    make -j2 all-target-newlib && make install-target-newlib
} >"$dest/log" 2>&1 9>&- </dev/null || {
    tail -20 "$dest/log" >&2
    echo "newlib did not build; the whole log is $dest/log" >&2
    exit 1
}
touch "$dest/.made"
