"""What ctr refuses, and what a container that means ill cannot do."""
import json
import os

from viv.ociimage import Image, bundle, bundle_config, busybox, entry, layer
from viv.testlib import BOTH, test


def lines(result):
    return result.text.replace("\r\n", "\n").splitlines()


CLIMBING = {  # name: entries of a layer, what the message says of the last
    "dotdot": [entry("a/../../evil", "x")],
    "absolute": [entry("/evil", "x")],
    "absolute-link": [entry("link", link="/tmp"), entry("link/evil", "x")],
    "climbing-link": [entry("d", directory=True), entry("d/link", link="../../.."), entry("d/link/evil", "x")],
    "link-to-link": [entry("one", link="two"), entry("two", link="/tmp"), entry("one/evil", "x")],
    "hard-link-out": [entry("evil", hard="../../../../../etc/passwd")],
    "hard-link-absolute": [entry("evil", hard="/etc/passwd")],
    "hard-link-through-link": [entry("link", link="/etc"), entry("evil", hard="link/passwd")],
    "loop": [entry("loop", link="loop"), entry("loop/evil", "x")],
    "root-as-file": [entry(".", "x")],
    "whiteout-of-dotdot": [entry(".wh...", "")],
    "false-whiteout": [entry("evil", device=(0, 0))],
}


@test()
def layers_that_climb_out_are_refused_by_name(t):
    where = t.directory()
    for name, entries in CLIMBING.items():
        Image(os.path.join(where, name), [layer(*entries)]).write()
    result = t.sh("for i in /hostile/*; do echo == ${i##*/}; ctr run --rm $i /bin/sh; echo $?; done; "
                  "find / -xdev -name evil; ls /run/ctr /run/ctr/layers", adds=[(where, "/hostile")])
    for name, entries in CLIMBING.items():
        part = result.text.replace("\r\n", "\n").split("== %s\n" % name)[1].split("== ")[0]
        t.matches(part, r'^ctr: layer sha256:[0-9a-f]{64}: entry "', name)
        t.contains(part, '"%s' % entries[-1][0].name.rstrip("/"), name)
        t.contains(part, "\n125\n", name)
    t.true("\n/" not in result.text.split("125\n")[-1].split("/run/ctr:")[0], "no evil anywhere")
    t.equal(result.text.replace("\r\n", "\n").split("/run/ctr/layers:\n")[1], "", "the store of layers")


@test()
def links_within_a_layer_are_followed_inside(t):
    image = Image(t.directory() + "/i", [layer(*busybox("cat", "sh"), entry("usr/lib", directory=True),
                                               entry("lib", link="usr/lib"), entry("lib/f", "found"),
                                               entry("hard", hard="lib/f"), entry("out", link="/etc/passwd"))]).write()
    t.equal(t.sh("ctr run --rm /i sh -c 'cat /usr/lib/f /hard; readlink /out || cat /out'", adds=[(image, "/i")]).text[:10],
            "foundfound", "files")


def damage(where):
    """Images that are wrong in one place each: name -> part of the message."""
    cases = {}

    def image(name, message, **changes):
        made = Image(os.path.join(where, name), [layer(*busybox("sh"))], **changes)
        cases[name] = message
        return made

    made = image("layer-digest", "layer: digest mismatch: expected sha256:")
    made.write()
    with open(made.layer_file(0), "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    made = image("layer-size", "its descriptor says")
    made.write()
    with open(made.layer_file(0), "ab") as file:
        file.write(b"x")
    made = image("layer-missing", "No such file or directory")
    made.write()
    os.unlink(made.layer_file(0))
    made = image("diff-id", "diff_id mismatch: expected sha256:" + "0" * 64)
    made.diff_ids[0] = "sha256:" + "0" * 64
    made.write()
    made = image("diff-id-path", "is no diff_id")
    made.diff_ids[0] = "sha256:../../../tmp/x"
    made.write()
    made = image("diff-id-count", "1 layers but 2 diff_ids")
    made.diff_ids.append(made.diff_ids[0])
    made.write()
    made = image("truncated-gzip", "the gzip stream ends early")
    made.blobs[0] = made.blobs[0][:5000]
    made.write()
    made = image("not-gzip", "bad gzip stream")
    made.blobs[0] = b"no gzip at all" * 100
    made.write()
    made = image("manifest-digest", "manifest: digest mismatch")
    made.write()
    path = os.path.join(where, "manifest-digest/blobs/sha256", made.manifest["digest"][7:])
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace('"schemaVersion": 2', '"schemaVersion": 3'))
    made = image("digest-climbs", 'layer: "sha256:../../../etc/passwd" is no sha256 digest')
    made.manifest_changes["layers"] = [{"mediaType": made.layer_type, "digest": "sha256:../../../etc/passwd", "size": 1}]
    made.write()
    made = image("zstd", "manifest: layers[0].mediaType: \"application/vnd.oci.image.layer.v1.tar+zstd\": only tar and tar+gzip")
    made.layer_type = "application/vnd.oci.image.layer.v1.tar+zstd"
    made.write()
    made = image("wrong-type", "image config: config.Cmd: expected an array of strings, found a string", Cmd="sh")
    made.write()
    made = image("other-layout", "oci-layout: imageLayoutVersion:")
    made.write()
    with open(os.path.join(where, "other-layout/oci-layout"), "w") as file:
        json.dump({"imageLayoutVersion": "2.0.0"}, file)
    made = image("broken-index", "index.json: line 1: ends in the middle of a value")
    made.write()
    with open(os.path.join(where, "broken-index/index.json"), "w") as file:
        file.write('{"manifests": [')
    return cases


@test()
def damaged_images_are_refused_by_name(t):
    where = t.directory()
    cases = damage(where)
    result = t.sh("for i in /hostile/*; do echo == ${i##*/}; ctr run --rm $i; echo $?; done; ls /run/ctr/layers; "
                  "ctr run --rm /hostile/none; ctr run --rm busybox:none", adds=[(where, "/hostile")])
    text = result.text.replace("\r\n", "\n")
    for name, message in cases.items():
        part = text.split("== %s\n" % name)[1].split("== ")[0]
        t.contains(part, message, name)
        t.contains(part, "\n125\n", name)
    t.contains(text, "ctr: image /hostile/none: /hostile/none: No such file or directory")
    t.contains(text, 'no image tagged "none"')


WRONG = {  # what replaces a member (path: value), and the message
    "args": (("process", "args", 5), "config.json: process.args: expected an array of strings, found a number"),
    "arg": (("process", "args", ["a", None, 1]), "config.json: process.args[1]: expected a string, found null"),
    "no-root": (("root", None), "config.json: root: missing (an object)"),
    "readonly": (("root", {"path": "rootfs", "readonly": "no"}), "config.json: root.readonly: expected a boolean, found a string"),
    "root-path": (("root", {"path": "nowhere"}), "root.path: /wrong/root-path/nowhere is no directory"),
    "cwd": (("process", "cwd", "relative"), 'config.json: process.cwd: "relative" is not an absolute path'),
    "limit": (("linux", "resources", {"memory": {"limit": "1G"}}),
              "config.json: linux.resources.memory.limit: expected a number, found a string"),
    "namespace": (("linux", "namespaces", [{"type": "mount"}, {"type": "chroot"}]),
                  'config.json: linux.namespaces[1].type: "chroot" is no kind of namespace'),
    "mount": (("mounts", [{"destination": "/x", "type": 3}]), "config.json: mounts[0].type: expected a string, found a number"),
    "unknown-fs": (("mounts", [{"destination": "/x", "type": "nofs", "source": "x"}]),
                   "mounts[0]: mounting nofs on /x: No such device"),
    "version": (("ociVersion", "0.5"), 'config.json: ociVersion: "0.5" is not a version 1'),
    "cgroup": (("linux", "cgroupsPath", "/a/../../b"), 'linux.cgroupsPath: "/a/../../b" is not a clean absolute path'),
    "unified": (("linux", "resources", {"unified": {"../x": "1"}}), "config.json: linux.resources.unified.../x: not the name"),
}


@test()
def a_wrong_configuration_is_refused_with_its_path(t):
    where = t.directory()
    for name, (change, _) in WRONG.items():
        config = bundle_config("/bin/sh")
        target = config
        for key in change[:-2]:
            target = target[key]
        target[change[-2]] = change[-1]
        place = os.path.join(where, name)
        os.makedirs(os.path.join(place, "rootfs"))
        with open(os.path.join(place, "config.json"), "w") as file:
            json.dump(config, file)
    os.makedirs(os.path.join(where, "cut/rootfs"))
    with open(os.path.join(where, "cut/config.json"), "w") as file:
        file.write(json.dumps(bundle_config("/bin/sh"))[:100])
    result = t.sh("for i in /wrong/*; do echo == ${i##*/}; ctr create --bundle $i c; echo $?; done; ls /run/ctr; "
                  "ctr create --bundle /nowhere c; ctr create --bundle /wrong/args ../c", adds=[(where, "/wrong")])
    text = result.text.replace("\r\n", "\n")
    for name, (_, message) in list(WRONG.items()) + [("cut", (None, "config.json: line 1: ends in the middle of a value"))]:
        part = text.split("== %s\n" % name)[1].split("== ")[0]
        t.contains(part, message, name)
        t.contains(part, "\n125\n", name)
    t.contains(text, "125\nself\nctr: bundle /nowhere: No such file or directory\nctr: \"../c\" is no container id")


@test(backends=BOTH)
def a_container_has_no_more_rights_than_given(t):
    script = r"""
        mknod /m c 1 1; mknod /dev/m b 8 0; mount -t tmpfs x /root; umount /proc/kcore; umount /proc/sys
        mount -o remount,rw /proc/sys; hostname x; echo 1 > /sys/fs/cgroup/pids.max; chroot / /bin/echo chroot works
        kill -9 2; echo x > /proc/sys/kernel/hostname; date -s 2000.01.01-00:00; reboot -f; echo still there
        wc -c < /proc/kcore; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status
        ls /proc/self/fd | wc -l; echo; nsenter -t 1 -m echo in"""
    result = t.exec(["/bin/sh", "-c", "sleep 1000 & ctr run --rm busybox sh -c \"$1\" 9</etc/passwd 8</; pidof sleep | wc -w",
                     "x", script])
    for message in ("mknod: /m: Operation not permitted", "mknod: /dev/m: Operation not permitted",
                    "umount: can't unmount /proc/sys: ", "hostname: sethostname: Operation not permitted",
                    "can't create /sys/fs/cgroup/pids.max: ", "chroot works", "still there"):
        t.contains(result.text, message)
    t.matches(result.text, r"mount: .*(ermission denied|not permitted)")
    t.matches(result.text, r"kill.* 2: No such process")
    t.matches(result.text, r"CapEff:\s+00000000800405fb")
    t.matches(result.text, r"NoNewPrivs:\s+1")
    t.equal(lines(result)[-1], "1", "sleepers outside that live")
    t.equal(lines(result)[-4], "4", "descriptors of ls: its own one, and 0 to 2")


@test()
def device_nodes_of_an_image_open_nothing(t):
    image = Image(t.directory() + "/i", [layer(*busybox("sh", "cat", "head", "wc"), entry("zero", device=(1, 5)),
                                               entry("mem", device=(1, 1)))]).write()
    result = t.sh("ctr run --rm /i sh -c 'head -c 1 /zero; head -c 1 /mem; head -c 3 /dev/zero | wc -c'", adds=[(image, "/i")])
    t.equal(result.text.count("ermission denied"), 2, "refusals")
    t.equal(lines(result)[-1], "3", "bytes of the device that was given")


@test()
def the_working_directory_is_inside(t):
    """CVE-2024-21626: a working directory by way of an open descriptor."""
    place = bundle(t.directory() + "/b", bundle_config("/bin/ls", "/", process={
        "args": ["/bin/ls"], "env": [], "cwd": "/proc/self/fd/0", "user": {"uid": 0, "gid": 0}}))
    result = t.sh("ctr run --bundle /b c < /etc; echo $?; sed -i s,fd/0,fd/7, /b/config.json; ctr run --bundle /b c 7</etc; echo $?",
                  adds=[(place, "/b")])
    t.true("passwd" not in result.text, "nothing of the outside")
    t.equal([line for line in lines(result) if line.isdigit()], ["125", "125"], "status")


@test()
def mount_targets_that_are_links_stay_inside(t):
    """A volume's target is swapped for a link to the outside."""
    config = bundle_config("/bin/sh", "-c", "ls /outside /etc/inner; cat /up/f; echo x > /dev/null", mounts=[
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/link", "type": "bind", "source": "/data", "options": ["bind"]},
        {"destination": "/up/f", "type": "bind", "source": "/data/f", "options": ["bind"]},
        {"destination": "/etc/inner", "type": "tmpfs", "source": "x"}])
    place = bundle(t.directory() + "/b", config)
    for name, target in (("link", "/outside"), ("up", "../../../../up2"), ("dev", "/realdev"), ("etc", "/../etc2")):
        os.symlink(target, os.path.join(place, "rootfs", name))
    result = t.sh("mkdir /outside /data /up2 /realdev; echo data > /data/f; ctr run --bundle /b c; ls /outside /up2 /realdev; "
                  "ls -d /etc/inner; ls /b/rootfs/up2", adds=[(place, "/b")])
    t.equal(lines(result)[:5], ["/etc/inner:", "", "/outside:", "f", "data"], "what the container sees")
    t.equal(lines(result)[5:], ["/outside:", "", "/realdev:", "", "/up2:", "ls: /etc/inner: No such file or directory", "f"],
            "what is outside")


@test()
def ctr_cannot_be_overwritten_from_inside(t):
    """CVE-2019-5736: ctr runs inside for a while, as /proc/self/exe, and another process writes to it."""
    result = t.sh(r"""sum=$(md5sum < /bin/ctr)
        ctr run -d --name c busybox sh -c 'mkdir -p /images/x; mkfifo /images/x/oci-layout; exec sleep 1000'
        until ctr exec c test -p /images/x/oci-layout; do sleep 0.1; done
        ctr exec -e CTR_IMAGES=/images c /proc/self/exe images & 
        ctr exec c sh -c '
            until [ "$(pidof exe)" ]; do sleep 0.1; done; exec 5< /proc/$(pidof exe)/exe
            echo evil > /proc/$(pidof exe)/exe; kill -9 $(pidof exe); sleep 0.5; echo evil > /proc/self/fd/5; head -c 4 <&5'
        ctr delete --force c; [ "$sum" = "$(md5sum < /bin/ctr)" ] && echo unchanged; cmp /bin/ctr /run/ctr/self""")
    t.equal(result.text.count("can't create /proc/"), 2, "writes refused")
    t.contains(result.text, "/fd/5: Read-only file system")
    t.contains(result.text, "unchanged")


@test()
def the_death_of_pid_1_ends_all(t):
    result = t.sh("ctr run --rm --name c busybox sh -c 'sleep 1000 & setsid sleep 1000 & (sleep 0.1 & ) ; sleep 0.5; "
                  "echo $(pidof sleep | wc -w); ps -o stat,comm | grep -c ^Z; exit 3'; echo $?; pidof sleep | wc -w")
    t.equal(lines(result), ["2", "0", "3", "0"], "sleepers before, zombies, status, sleepers after")


@test()
def a_writable_cgroup_mount_does_not_loosen_limits(t):
    """The limits of a container's own cgroup are its maker's; below it, it may only divide."""
    config = bundle_config("/bin/busybox", "sh", "-c", r"""
        cd /cg; for f in pids.max memory.max cpu.max; do echo max > $f; done; cat pids.max
        mkdir sub && echo $$ > sub/cgroup.procs && echo +pids > cgroup.subtree_control && echo 1000 > sub/pids.max && cat sub/pids.max
        i=0; while [ $i -lt 20 ]; do sleep 1000 & i=$((i + 1)); done""",
                           mounts=[{"destination": "/cg", "type": "cgroup", "source": "cgroup"}])
    config["linux"]["namespaces"].append({"type": "cgroup"})
    config["linux"]["resources"] = {"pids": {"limit": 10}, "memory": {"limit": 33554432}, "cpu": {"quota": 50000}}
    place = bundle(t.directory() + "/b", config)
    result = t.sh("ctr run --bundle /b c; cat /sys/fs/cgroup/ctr/c/pids.max; ctr delete c; ls /sys/fs/cgroup/ctr | grep -c ^c$",
                  adds=[(place, "/b")])
    t.equal(result.text.count("write error: Operation not permitted"), 3, "refusals")
    t.contains(result.text, "can't fork: Resource temporarily unavailable")
    t.equal([line for line in lines(result) if line.isdigit()], ["10", "1000", "10", "0"], "limits, and the cgroup gone")


@test()
def orphans_are_reaped_and_kill_stays_inside(t):
    result = t.sh("sleep 1000 & ctr run --rm busybox sh -c 'trap : TERM; (sleep 0.2 & sleep 0.1 & ); sleep 1; kill -TERM -1; "
                  "ps -o stat,comm | grep -c Z; ls -d /proc/[0-9]* | wc -l'; pidof sleep | wc -w")
    t.equal(lines(result)[-3:], ["0", "3", "1"], "zombies inside, processes inside (sh, ls, wc), sleeper outside")


@test()
def a_chroot_inside_does_not_lead_out(t):
    """The break-out of chroot(2): a descriptor of the outside kept over a second chroot, then up by "..". """
    result = t.sh("echo outside > /mark; ctr run --rm busybox sh -c 'mkdir /in; exec 5</; chroot /in /bin/sh; "
                  "cd /../../..; ls -d bin; cat mark /../mark /proc/self/fd/5/../mark /proc/1/root/mark /proc/1/cwd/../../mark'")
    t.equal(result.text.count("No such file or directory") - result.text.count("chroot: can't execute"), 5, "refusals")
    t.true("outside" not in result.text, "nothing of the outside")


@test()
def exhausted_tables_are_the_container_s_own_trouble(t):
    """Descriptors and names run out inside, with an error, and all is free again after delete."""
    result = t.sh(r"""free() { awk '/^MemFree/ { print $2 }' /proc/meminfo; }
        ctr run --rm busybox true; before=$(free)
        ctr run --rm --memory 24m busybox sh -c 'i=0; while [ $i -lt 500 ]; do : > /tmp/f$i; i=$((i + 1)); done; echo files'
        ctr run --rm --memory 24m busybox sh -c 'ulimit -n 20; i=3; while [ $i -lt 30 ]; do eval "exec $i</etc/issue"; i=$((i + 1)); done; echo no'
        ctr run --rm --memory 16m busybox sh -c 'i=0; while [ $i -lt 100 ]; do mkdir -p /d/$i/a/b/c/d/e/f/g/h; i=$((i + 1)); done; echo dirs'
        echo more > /f && cat /f; after=$(free); echo $((before - after))""")
    t.contains(result.text, "files\n")
    t.contains(result.text, "Too many open files")
    t.contains(result.text, "dirs\nmore\n")
    t.between(int(lines(result)[-1]), -4096, 1024, "KiB that are not free again")


@test()
def names_in_memory_are_charged(t):
    result = t.sh(r"""ctr run --name c --memory 4m busybox sh -c 'i=0; while :; do : > /tmp/file-$i; i=$((i + 1)); done' 2>/dev/null; echo $?
        cat /sys/fs/cgroup/ctr/c/memory.peak; ctr delete c; echo outside lives""", limit=300)
    t.true(lines(result)[0] != "0", "the program not to end by itself")
    t.between(int(lines(result)[1]), 3 << 20, 4 << 20, "peak")
    t.equal(lines(result)[2], "outside lives", "the end")
