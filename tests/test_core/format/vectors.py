"""The vectors in tests/data: what each released format version wrote."""

from __future__ import annotations

import json
import struct

import numpy as np

from flaccodec import core
from flaccodec.core import QuantaRule
from support import reference_reader as reference
from support.paths import DATA

# Every format version that a release wrote, and the SHA-256 of its manifest.
MANIFESTS = {1: "a53b229ae58e34ae4a9a3bb9cde42cd3ddcdaf5d8c4697db83ec7b41f6ad885a"}


def manifest(version: int) -> dict:
    return json.loads((DATA / f"v{version}" / "manifest.json").read_text())


class Vector:
    def __init__(self, version: int, entry: dict) -> None:
        self.version = version
        self.folder = DATA / f"v{version}"
        self.entry = entry
        self.name: str = entry["name"]
        self.shape = tuple(entry["shape"])

    def __repr__(self) -> str:
        return f"v{self.version}-{self.name}"

    @property
    def chunk(self) -> bytes:
        return (self.folder / f"{self.name}.bin").read_bytes()

    @property
    def expected(self) -> np.ndarray:
        return np.load(self.folder / f"{self.name}.npy")

    @property
    def written(self) -> np.ndarray:
        """What was encoded, in the byte order in which it was."""
        name = f"{self.name}.input.npy" if self.entry["lossy"] else f"{self.name}.npy"
        array = np.load(self.folder / name)
        order = ">" if self.entry["byte_order"] == "big" else "<"
        return array.astype(array.dtype.newbyteorder(order))

    def files(self) -> set[str]:
        names = {f"{self.name}.bin", f"{self.name}.npy"}
        return names | ({f"{self.name}.input.npy"} if self.entry["lossy"] else set())


VECTORS = [Vector(v, entry) for v in MANIFESTS for entry in manifest(v)["vectors"]]
CURRENT = [v for v in VECTORS if v.version == core.FORMAT_VERSION]


def named(name: str) -> Vector:
    return next(v for v in CURRENT if v.name == name)


def little_endian(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def encode(array: np.ndarray, options: dict) -> bytes:
    rule = QuantaRule[options["rule"]]
    return bytes(core.encode_chunk(array, **{**options, "rule": rule}))


def seal(chunk: bytearray, head_size: int, streams_size: int) -> bytes:
    """Make the checksums right, so that only what was changed is wrong."""
    end = head_size + streams_size
    crc = reference.crc32c(bytes(chunk[head_size:end])), reference.crc32c(bytes(chunk[end:]))
    struct.pack_into("<2I", chunk, 48, *crc)
    covered = bytes(chunk[:60]), bytes(chunk[64:head_size])
    struct.pack_into("<I", chunk, 60, reference.crc32c(*covered))
    return bytes(chunk)
