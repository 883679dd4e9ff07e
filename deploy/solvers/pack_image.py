#!/usr/bin/env python3
"""Packs a root filesystem into an image archive for `docker load`, and prints the image's id.

The id is the digest of the configuration, which names the layer's digest: the same root filesystem always gives the
same id, on every machine. (`docker import` would give another one each time.)
"""

import argparse
import hashlib
import io
import json
import sys
import tarfile


def digest_of(path: str) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layer", help="the root filesystem, an uncompressed tar archive")
    parser.add_argument("output", help="the image archive to write")
    parser.add_argument("--name", required=True, help="what `docker images` shows, as NAME:TAG")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    arguments = parser.parse_args()
    layer = digest_of(arguments.layer)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/bin:/bin", *arguments.env], "WorkingDir": "/work"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "pack_image"}],
    }
    text = json.dumps(config, separators=(",", ":"), sort_keys=True).encode()
    image = hashlib.sha256(text).hexdigest()
    manifest = [{"Config": f"{image}.json", "RepoTags": [arguments.name], "Layers": [f"{layer}/layer.tar"]}]
    with tarfile.open(arguments.output, "w") as archive:
        add_bytes(archive, f"{image}.json", text)
        archive.add(arguments.layer, f"{layer}/layer.tar", filter=lambda entry: clean(entry))
        add_bytes(archive, "manifest.json", json.dumps(manifest).encode())
    print(f"sha256:{image}")


def clean(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what differs between machines."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    sys.exit(main())
