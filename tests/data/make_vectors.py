"""Write the chunks that every later version must read, into tests/data/v<format version>/.

    python tests/data/make_vectors.py

Run once for each format version, before its first release. It refuses to write
where there are vectors: what a release wrote is never written anew. A vector is

    <name>.bin         the chunk
    <name>.npy         what reading it must give, bit for bit, little-endian
    <name>.input.npy   what was encoded, where that is not the same (quantized floats)

and an entry in manifest.json. The numbers come from integer formulas, so that
they do not depend on a version of NumPy.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import flaccodec
from flaccodec import core
from flaccodec.core import QuantaRule

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support import reference_reader  # noqa: E402

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float32", "float64")


# -- numbers ------------------------------------------------------------------------


def scatter(n_streams: int, n: int, bits: int) -> np.ndarray:
    """Integers that look random, 0 to 2**bits - 1."""
    i = np.arange(n_streams * n, dtype=np.uint64).reshape(n_streams, n)
    mixed = (i + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return mixed >> np.uint64(64 - bits)


def swing(n_streams: int, n: int, height: int) -> np.ndarray:
    """A triangle wave with some noise, -height to height."""
    i = np.arange(n, dtype=np.int64) * (3 + np.arange(n_streams, dtype=np.int64)[:, None])
    wave = np.abs(i % 40 - 20) * (height // 12) - height // 2
    noise = scatter(n_streams, n, 16).astype(np.int64) % (height // 4 + 1)
    return np.clip(wave + noise, -height, height)


def full_range(dtype: str, n_streams: int, n: int) -> np.ndarray:
    info = np.iinfo(dtype)
    x = scatter(n_streams, n, info.bits).astype(f"u{info.bits // 8}").view(dtype)
    x[:, 0], x[:, 1] = info.min, info.max
    return x


def near(dtype: str, centre: int, n_streams: int, n: int, bits: int) -> np.ndarray:
    x = scatter(n_streams, n, bits) + np.uint64((centre - 2 ** (bits - 1)) % 2**64)
    return x.astype(np.uint64).view(np.int64 if dtype.startswith("i") else np.uint64).astype(dtype)


def from_bits(dtype: str, *bits: int) -> np.ndarray:
    return np.array(bits, dtype=f"u{np.dtype(dtype).itemsize}").view(dtype)


SPECIAL = {  # zeros, subnormals, largest numbers, infinities, NaN with payloads and signs
    "float32": (
        *(0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x7F7FFFFF, 0xFF7FFFFF),
        *(0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC01234, 0x7F800001, 0xFFFFFFFF),
    ),
    "float64": (
        *(0x0000000000000000, 0x8000000000000000, 0x0000000000000001, 0x800FFFFFFFFFFFFF),
        *(0x7FEFFFFFFFFFFFFF, 0xFFEFFFFFFFFFFFFF, 0x7FF0000000000000, 0xFFF0000000000000),
        *(0x7FF8000000000000, 0xFFF8000000ABCDEF, 0x7FF0000000000001, 0xFFFFFFFFFFFFFFFF),
    ),
}


def with_others(dtype: str) -> np.ndarray:
    """Runs of NaN and infinities: within frames of 16, across them, at both ends."""
    x = (swing(3, 53, 900) / 64).astype(dtype)
    nan, odd_nan = from_bits(dtype, SPECIAL[dtype][8], SPECIAL[dtype][9])
    x[0, :3] = nan
    x[0, 12:37] = nan
    x[0, 37] = odd_nan
    x[0, 38] = np.inf
    x[1, 16:32] = -np.inf
    x[1, 52] = nan
    x[2, :] = nan
    return x


# -- the vectors --------------------------------------------------------------------


def integer_cases():
    for dtype in INTEGERS:
        yield f"{dtype}-plain", np.abs(swing(2, 40, 100)).astype(dtype), {}
        yield f"{dtype}-full", full_range(dtype, 2, 21), {}
    for dtype in ("int16", "int32", "int64", "uint16", "uint32", "uint64"):
        centre = np.iinfo(dtype).max - 300
        yield f"{dtype}-offset", near(dtype, centre, 2, 40, 8), {}
    yield "int64-negative-offset", near("int64", -(2**62), 1, 40, 19), {}
    yield "uint64-offset-of-half", near("uint64", 2**63, 1, 40, 10), {}
    mixed = swing(3, 35, 50)
    mixed[1] = full_range("int64", 1, 35)
    mixed[2] += 2**40
    yield "int64-one-and-two-channels", mixed, {}
    bits = np.array([8, 12, 16, 20, 24, 32])[:, None]
    all_widths = scatter(6, 24, 63).astype(np.int64) % 2**bits - 2 ** (bits - 1)
    yield "int32-all-widths", all_widths.astype(np.int32), {}


def frame_cases():
    yield "frames-short-last", swing(2, 2 * 48 + 5, 3000).astype("int16"), {"frame_size": 48}
    yield (
        "frames-last-of-16-or-more",
        swing(2, 2 * 48 + 20, 3000).astype("int16"),
        {"frame_size": 48},
    )
    yield "frames-all-full", swing(2, 3 * 48, 3000).astype("int16"), {"frame_size": 48}
    # Block sizes that a frame header has codes for, and one that it spells out in 16 bits.
    for size in (192, 256, 300):
        yield f"frames-of-{size}", swing(1, size + 50, 5).astype("int8"), {"frame_size": size}
    yield "frames-130", (swing(1, 16 * 129 + 1, 9)).astype("int8"), {"level": 0}
    yield "frame-larger-than-stream", swing(1, 100, 3000).astype("int16"), {"frame_size": 65535}
    yield "short-int32", swing(3, 5, 10**6).astype("int32"), {}
    yield "short-int64-two-channels", full_range("int64", 2, 7), {}
    yield "short-float32-lossless", from_bits("float32", *SPECIAL["float32"]).reshape(2, 6), {}
    yield (
        "short-float64-quantized",
        swing(2, 15, 900) / 7,
        {"rule": "GIVEN", "parameters": [0.5]},
    )
    yield "one-sample", np.array(-7, dtype="int32"), {}
    yield "three-axes", swing(6, 20, 500).astype("int16").reshape(2, 3, 20), {"level": 8}
    big = swing(2, 30, 3000)
    yield "big-endian-int16", big.astype(">i2"), {"keep_byte_order": True}
    yield "big-endian-float64", (big / 3).astype(">f8"), {"keep_byte_order": True}
    yield (
        "big-endian-float32-quantized",
        (big / 3).astype(">f4"),
        {"keep_byte_order": True, "rule": "GIVEN", "parameters": [0.25]},
    )


def float_cases():
    for dtype in FLOATS:
        smooth = (swing(2, 40, 900) / 64).astype(dtype)
        specials = np.concatenate([smooth[0], from_bits(dtype, *SPECIAL[dtype])])
        yield f"{dtype}-lossless", smooth, {}
        yield f"{dtype}-lossless-specials", specials, {}
        one = np.ones((1, 40), dtype)
        ulps = one.view(f"u{one.itemsize}") + scatter(1, 40, 12).astype(f"u{one.itemsize}")
        yield f"{dtype}-lossless-offset", ulps.view(dtype), {}
        yield f"{dtype}-quanta-uniform", smooth, {"rule": "GIVEN", "parameters": [0.125]}
        yield f"{dtype}-quanta-each", smooth, {"rule": "GIVEN", "parameters": [0.125, 0.01]}
        far = smooth + dtype_number(dtype, 4096)
        yield f"{dtype}-quanta-offset", far, {"rule": "GIVEN", "parameters": [0.25]}
        yield (
            f"{dtype}-quanta-exceptions",
            with_others(dtype),
            {
                "rule": "GIVEN",
                "parameters": [0.03125],
            },
        )
        constant = smooth.copy()
        constant[1] = -0.1
        yield f"{dtype}-precision", constant, {"rule": "PRECISION", "parameters": [3]}
        yield f"{dtype}-precision-each", smooth, {"rule": "PRECISION", "parameters": [2, 4]}
        yield f"{dtype}-range", constant, {"rule": "RANGE"}
        yield f"{dtype}-range-one-stream", smooth[0], {"rule": "RANGE"}
        fine = 2.0**-40
        yield f"{dtype}-quanta-two-channels", smooth, {"rule": "GIVEN", "parameters": [fine, 1]}
        yield f"{dtype}-quanta-finite-exceptions", *finite_exceptions(dtype)


def dtype_number(dtype: str, value: float):
    return np.dtype(dtype).type(value)


def finite_exceptions(dtype: str):
    """Quanta near the rounding of the dtype, and quanta near its largest number."""
    digits = 24 if dtype == "float32" else 53
    steps = scatter(1, 120, digits - 1).astype(np.float64) + 2.0 ** (digits - 1)
    x = (steps / 2.0 ** (digits - 1)).astype(dtype)
    x[0, 7] = 0.75
    x[0, 30:] = x[0, 7]  # few of all samples, else the chunk would be stored without loss
    # Nearest to 4.7 quanta are 5, and those are infinite.
    largest = np.finfo(dtype).max
    x = np.concatenate([x, np.where(np.arange(120) % 40 == 0, largest, largest / 3)[None]])
    x = x.astype(dtype)
    return x, {"rule": "GIVEN", "parameters": [1.1 * 2.0 ** -(digits + 1), float(largest) / 4.7]}


def cases():
    yield from integer_cases()
    yield from frame_cases()
    yield from float_cases()


# -- writing ------------------------------------------------------------------------


def options_of(changes: dict) -> dict:
    options = {"level": 5, "frame_size": 16, "rule": "NONE", "parameters": None}
    return {**options, "keep_byte_order": False, **changes}


def encode(array: np.ndarray, options: dict) -> bytes:
    """Encode with options as the manifest has them."""
    rule = QuantaRule[options["rule"]]
    return bytes(core.encode_chunk(array, **{**options, "rule": rule}))


def little_endian(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check(array: np.ndarray, decoded: np.ndarray, chunk: bytes, lossy: bool) -> None:
    """Both readers agree, and on what was written."""
    second = reference_reader.read_chunk(chunk)
    if second.tobytes() != decoded.tobytes():
        raise SystemExit("the two readers disagree")
    if not lossy and decoded.tobytes() != little_endian(array).tobytes():
        raise SystemExit("a chunk without loss does not give back what was written")


def make_vector(folder: Path, name: str, array: np.ndarray, changes: dict) -> dict:
    options = options_of(changes)
    chunk = encode(array, options)
    decoded = little_endian(core.decode_chunk(chunk).reshape(array.shape))
    lossy = options["rule"] != "NONE"
    check(array, decoded, chunk, lossy)
    if len(chunk) > 3000:
        raise SystemExit(f"{name} has {len(chunk)} bytes; vectors are small")
    (folder / f"{name}.bin").write_bytes(chunk)
    np.save(folder / f"{name}.npy", decoded)
    if lossy:
        np.save(folder / f"{name}.input.npy", array)
    return {
        "name": name,
        "dtype": array.dtype.newbyteorder("=").name,
        "shape": list(array.shape),
        "byte_order": "big" if array.dtype.str[0] == ">" else "little",
        "lossy": lossy,
        "options": options,
        "chunk_sha256": sha256(chunk),
        "decoded_sha256": sha256(decoded.tobytes()),
    }


def manifest_text(manifest: dict) -> str:
    """JSON with a line for each vector."""
    lines = ",\n".join(f"  {json.dumps(v)}" for v in manifest["vectors"])
    rest = json.dumps({**manifest, "vectors": []}, indent=1)
    return rest.replace('"vectors": []', f'"vectors": [\n{lines}\n ]') + "\n"


def main() -> None:
    folder = HERE / f"v{core.FORMAT_VERSION}"
    if folder.exists():
        raise SystemExit(
            f"{folder.relative_to(HERE)}/ exists. The vectors of a release are never written anew: "
            "restore missing files from version control. Only for a version that was not yet "
            "released may the folder be removed."
        )
    folder.mkdir()
    vectors = [make_vector(folder, *case) for case in cases()]
    manifest = {
        "format_version": core.FORMAT_VERSION,
        "written_by": f"flaccodec {flaccodec.__version__}",
        "vectors": vectors,
    }
    text = manifest_text(manifest)
    (folder / "manifest.json").write_text(text)
    chunks = sum(p.stat().st_size for p in folder.glob("*.bin"))
    total = sum(p.stat().st_size for p in folder.iterdir())
    print(f"{len(vectors)} vectors, {chunks:,} bytes of chunks, {total:,} bytes in all")
    print(f"SHA-256 of the manifest, for test_core/format/vectors.py: {sha256(text.encode())}")


if __name__ == "__main__":
    main()
