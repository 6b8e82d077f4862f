"""Write the seeds of the corpora: small inputs of every kind, from which fuzzing starts.

Run this from a checkout after a change of the format.
What fuzzing found lies beside them under libFuzzer's names and stays.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from flaccodec import core  # noqa: E402
from flaccodec.core import QuantaRule, encode_chunk  # noqa: E402
from support.flac_writer import Residual, Subframe, frame, stream, stream_info  # noqa: E402

CORPUS = HERE / "corpus"
ESCAPE = ("escape", None)


def noise(bits, n, seed=0):
    """Noise of half the bits on a slow wave of most of them."""
    rng = np.random.default_rng(seed)
    wave = 2.0 ** (bits - 2) * np.sin(np.arange(n) / 9)
    return np.rint(wave + rng.normal(0, 2.0 ** (bits / 2 - 2), n)).astype(np.int64)


def predictor(order, precision, shift, seed=0):
    """A predictor of differences and a little noise, in so many bits."""
    limit = 2 ** (precision - 1) - 1
    values = np.random.default_rng(seed).integers(-2, 3, order)
    values[0] = 2**shift
    values = np.clip(values, -limit - 1, limit)
    return Subframe("lpc", coefficients=tuple(values.tolist()), precision=precision, shift=shift)


def residual_ways():
    yield "rice", Residual()
    yield "rice2", Residual(method=1)
    yield "partitions", Residual(partition_order=3)
    yield "escape", Residual(parameters=(ESCAPE,))
    yield "escape2-partitions", Residual(2, 1, (ESCAPE, None))
    yield "parameters", Residual(3, 0, (7, 8, 9, 10, None))


def seed_frames():
    """Yield a name and a frame of each kind."""
    for bits in (8, 12, 16, 20, 24, 32):
        x = noise(bits, 64)
        for order in range(5):
            subframe = Subframe(order=order, residual=Residual(method=int(bits > 16)))
            yield f"fixed{order}-{bits}bit", frame([x], bits, 0, [subframe])
        for order, precision, shift in ((1, 2, 0), (8, 12, 10), (13, 9, 7), (32, 15, 13)):
            subframe = predictor(order, precision, shift)
            subframe.residual = Residual(method=1)
            yield f"lpc{order}-{bits}bit", frame([x], bits, 1, [subframe])
        yield f"verbatim-{bits}bit", frame([x[:20]], bits, 2, [Subframe("verbatim")])
        yield f"constant-{bits}bit", frame([x[:1].repeat(64)], bits, 3, [Subframe("constant")])
        wasted = Subframe(order=1, wasted=3, residual=Residual(method=1))
        yield f"wasted-{bits}bit", frame([x & ~7], bits, 4, [wasted])
    for name, residual in residual_ways():
        subframe = Subframe(order=2, residual=residual)
        yield f"residual-{name}", frame([noise(16, 256)], 16, 5, [subframe])
    zero = Residual(parameters=(("escape", 0),))
    yield "escape-of-no-bits", frame([np.arange(32)], 16, 6, [Subframe(order=2, residual=zero)])
    for samples in (1, 16, 192, 576, 1000, 4096):
        x = np.arange(samples) % 7
        coded = frame([x], 16, 7, [Subframe(order=0)])
        yield f"block{samples}", coded
    for number in (127, 2047, 65535, 2**21 - 1, 2**26 - 1, 2**31 - 1):
        yield f"number{number}", frame([noise(8, 16)], 8, number, [Subframe()])
    for rate in (1000, 35467, 134560, 192000):
        yield f"rate{rate}", frame([noise(8, 16)], 8, 0, [Subframe()], rate=rate)
    pair = [noise(32, 64), noise(32, 64, 1)]
    both = [Subframe(order=2, residual=Residual(1, 1)), Subframe("verbatim")]
    yield "two-channels", frame(pair, 32, 0, both)
    for name in ("left/side", "side/right", "mid/side"):
        pair = [noise(16, 64), noise(16, 64, 1)]
        coded = frame(pair, 16, 0, [Subframe(order=1), Subframe(order=2)], assignment=name)
        yield name.replace("/", "-"), coded
    yield "variable", frame([noise(16, 64)], 16, 1000, [Subframe()], variable=True)
    yield "bits-not-stated", frame([noise(16, 64)], 16, 0, [Subframe()], state_bits=False)
    extremes = np.tile([-(2**31), 2**31 - 1], 32)
    yield "extremes", frame([extremes], 32, 0, [Subframe("verbatim")])


def seed_arrays():
    """Yield a name, an array and how it becomes a chunk."""
    rng = np.random.default_rng(0)
    for dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32"):
        info = np.iinfo(dtype)
        array = np.stack([noise(8, 50, s) // 2 for s in range(3)])
        yield dtype, (array + (128 if info.min == 0 else 0)).astype(dtype), {}
    for dtype in ("int64", "uint64"):
        low = 0 if dtype[0] == "u" else -(2**62)
        yield f"{dtype}-wide", rng.integers(low, 2**62, (2, 40)).astype(dtype), {}
        yield f"{dtype}-narrow", (noise(16, 80).reshape(2, 40) + 2**40).astype(dtype), {}
    far = (noise(12, 60).reshape(2, 30) + 10**9).astype("int32")
    yield "offsets", far, {}
    yield "big-endian", far.astype(">i4"), {"keep_byte_order": True}
    yield "plain", noise(8, 100).astype("int16"), {"plain": True}
    for dtype in ("float32", "float64"):
        array = np.cumsum(rng.normal(size=(3, 50)), axis=-1).astype(dtype)
        yield f"{dtype}-lossless", array, {}
        holes = array.copy()
        holes[0, 3:9] = np.nan
        holes[1, [0, 15, 16, 17]] = np.inf
        holes[2, -1] = -np.inf
        each = {"rule": QuantaRule.GIVEN, "parameters": [0.01, 0.02, 1e-3]}
        yield f"{dtype}-quanta-each", holes, each
        yield f"{dtype}-quanta", array, {"rule": QuantaRule.GIVEN, "parameters": 0.01}
        yield f"{dtype}-exceptions", holes, {"rule": QuantaRule.GIVEN, "parameters": 0.5}
        fine = {"rule": QuantaRule.GIVEN, "parameters": 2.0**-45}
        yield f"{dtype}-two-channels", array[:, :20], fine
        yield f"{dtype}-precision", array, {"rule": QuantaRule.PRECISION, "parameters": 3}
        yield f"{dtype}-range", array, {"rule": QuantaRule.RANGE}
    yield "one-sample", np.array([7], "int32"), {}
    yield "many-streams", rng.integers(-9, 9, (30, 3)).astype("int8"), {}
    yield "many-frames", rng.integers(-3, 3, (1, 700)).astype("int16"), {}
    yield "constants", np.repeat([[1], [2**20], [-5]], 400, axis=1).astype("int32"), {}


def seed_chunks():
    for i, (name, array, options) in enumerate(seed_arrays()):
        yield name, encode_chunk(array, level=i % 9, frame_size=16, **options).tobytes()
        if array.size < 200:
            yield f"{name}-one-frame", encode_chunk(array, **options).tobytes()


def seed_streams():
    """Yield a name and a stream as other writers have them."""
    mono, pair = noise(16, 200), [noise(16, 200), noise(16, 200, 1)]
    parts = [slice(0, 64), slice(64, 128), slice(128, 200)]
    one, two = [Subframe(order=2)], [Subframe(order=1), Subframe(order=2)]
    info = stream_info(channels=1, bits=16, total=200, blocks=(64, 64))
    frames = [frame([mono[p]], 16, i, one) for i, p in enumerate(parts)]
    yield "mono", stream(info, frames)
    yield "padding", stream(info, frames, [(1, bytes(50)), (2, b"test" + bytes(9))])
    missing = stream_info(channels=1, bits=16, total=0, blocks=(64, 64))
    yield "total-not-set", stream(missing, frames)
    yield "frame-missing", stream(info, [frames[0], frames[2]])
    frames = [frame([mono[p]], 16, p.start, one, variable=True) for p in parts]
    yield "variable", stream(stream_info(channels=1, bits=16, total=200, blocks=(64, 72)), frames)
    info = stream_info(channels=2, bits=16, total=200, blocks=(64, 64))
    for assignment in (None, "left/side", "side/right", "mid/side"):
        frames = [
            frame([c[p] for c in pair], 16, i, two, assignment=assignment)
            for i, p in enumerate(parts)
        ]
        yield f"stereo-{(assignment or 'independent').replace('/', '-')}", stream(info, frames)
    wide = np.random.default_rng(0).integers(-(2**62), 2**62, (1, 40))
    chunk = encode_chunk(wide, frame_size=16)
    yield "of-a-chunk", chunk[core.read_header(chunk).head_size :].tobytes()


def samples_of(level, channels, width, size, shift, values):
    """Return what the round trip takes: ``width`` is a number in its list of them."""
    low = np.asarray(values).astype("<i8").reshape(-1, 1).view(np.uint8)[:, :size]
    first = [level | (channels - 1) << 3, width | (size - 1) << 3 | shift << 5]
    return bytes(first) + low.tobytes()


def seed_samples():
    """Yield a name and samples of each kind."""
    rng = np.random.default_rng(0)
    for width, bits in enumerate((8, 12, 16, 20, 24, 32)):
        size = (bits + 7) // 8
        for level in (0, 3, 5):
            yield (
                f"noise-{bits}bit-level{level}",
                samples_of(level, 1, width, size, 0, noise(bits, 200)),
            )
        yield f"two-{bits}bit", samples_of(5, 2, width, size, 0, noise(bits, 128))
        yield f"wasted-{bits}bit", samples_of(5, 1, width, 1, 5, noise(7, 100))
        white = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 100)
        yield f"white-{bits}bit", samples_of(5, 1, width, size, 0, white)
        spike = np.zeros(300, int)
        spike[77] = -(2 ** (bits - 1))
        yield f"spike-{bits}bit", samples_of(4, 1, width, size, 0, spike)
        square = np.where(np.arange(100) // 7 % 2, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        yield f"square-{bits}bit", samples_of(5, 1, width, size, 0, square)


def main():
    corpora = {
        "frame": seed_frames(),
        "chunk": seed_chunks(),
        "streams": seed_streams(),
        "round_trip": seed_samples(),
    }
    for target, seeds in corpora.items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds:
            (CORPUS / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
