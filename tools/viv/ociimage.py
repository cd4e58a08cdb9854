"""Writes small OCI image layouts and bundles for tests: odd ones, broken ones and hostile ones that no tool would make.

The image that stands for what people use is made by Debian's umoci (tools/image/busybox), not here.
"""
import gzip
import hashlib
import io
import json
import os
import tarfile

BUSYBOX = os.environ.get("BUSYBOX", "/bin/busybox")


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(name, data=None, link=None, hard=None, directory=False, mode=None, device=None, uid=0):
    """A tar member and its data."""
    info = tarfile.TarInfo(name)
    info.mode = mode if mode is not None else 0o755 if directory else 0o644
    info.uid = uid
    if directory:
        info.type = tarfile.DIRTYPE
    elif link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, link
    elif hard is not None:
        info.type, info.linkname = tarfile.LNKTYPE, hard
    elif device is not None:
        info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, device[0], device[1]
    else:
        data = (data or "").encode() if not isinstance(data, bytes) else data
        info.size = len(data)
    return info, data


def layer(*entries):
    """The tar of the entries, in their order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data) if info.isreg() and data else None)
    return out.getvalue()


def busybox(*names):
    """Entries for /bin/busybox and some of its names as hard links."""
    with open(BUSYBOX, "rb") as file:
        first = entry("bin/busybox", file.read(), mode=0o755)
    return [entry("bin", directory=True), first] + [entry("bin/" + name, hard="bin/busybox") for name in names]


class Image:
    """An image layout below `directory`. What is to be wrong is changed before write(), or in the files after it."""

    def __init__(self, directory, layers, compress=True, **config):
        self.directory = directory
        self.tars = list(layers)
        self.blobs = [gzip.compress(tar, 6, mtime=0) if compress else tar for tar in self.tars]
        self.layer_type = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if compress else "")
        self.diff_ids = [digest(tar) for tar in self.tars]
        self.config = dict({"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}, **config)
        self.manifest_changes = {}

    def _blob(self, data):
        with open(os.path.join(self.directory, "blobs/sha256", digest(data)[7:]), "wb") as file:
            file.write(data)

    def _descriptor(self, media_type, data):
        self._blob(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def layer_file(self, number):
        return os.path.join(self.directory, "blobs/sha256", digest(self.blobs[number])[7:])

    def write(self):
        os.makedirs(os.path.join(self.directory, "blobs/sha256"))
        config = {"architecture": "amd64", "os": "linux", "config": self.config,
                  "rootfs": {"type": "layers", "diff_ids": self.diff_ids}}
        manifest = {
            "schemaVersion": 2,
            "config": self._descriptor("application/vnd.oci.image.config.v1+json", json.dumps(config).encode()),
            "layers": [self._descriptor(self.layer_type, blob) for blob in self.blobs],
        }
        manifest.update(self.manifest_changes)
        self.manifest = self._descriptor("application/vnd.oci.image.manifest.v1+json", json.dumps(manifest).encode())
        index = {"schemaVersion": 2, "manifests": [
            dict(self.manifest, annotations={"org.opencontainers.image.ref.name": "latest"})]}
        for name, content in (("index.json", index), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
            with open(os.path.join(self.directory, name), "w") as file:
                json.dump(content, file)
        return self.directory


def bundle_config(*args, **changes):
    """A config.json that runs args; `changes` replace its outermost members."""
    config = {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {"args": list(args), "env": ["PATH=/bin"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
    }
    config.update(changes)
    return config


def bundle(directory, config):
    """A bundle whose root has nothing but busybox."""
    root = os.path.join(directory, "rootfs")
    os.makedirs(os.path.join(root, "bin"))
    with open(BUSYBOX, "rb") as source, open(os.path.join(root, "bin/busybox"), "wb") as target:
        target.write(source.read())
    os.chmod(os.path.join(root, "bin/busybox"), 0o755)
    for name in ("sh", "cat", "id", "ls", "sleep", "echo", "readlink", "touch", "stat"):
        os.symlink("busybox", os.path.join(root, "bin", name))
    with open(os.path.join(directory, "config.json"), "w") as file:
        file.write(config if isinstance(config, str) else json.dumps(config))
    return directory
