"""The cases of the FLAC decoder test bench (ietf-wg-cellar/flac-test-files), made anew.

Its files are recordings in special codings. Here the same codings hold made signals, in
one channel and in two. Names are the bench's. Its faulty files, and those that change
within, are in test_testbench.py.
"""

import functools
from dataclasses import dataclass, field

import numpy as np

from support.flac_writer import Residual, Subframe, frame, stream, stream_info

LEFT_OUT = (  # of more channels than streams have here
    "subset/38 - 3 channels (3.0)",
    "subset/39 - 4 channels (4.0)",
    "subset/40 - 5 channels (5.0)",
    "subset/41 - 6 channels (5.1)",
    "subset/42 - 7 channels (6.1)",
    "subset/43 - 8 channels (7.1)",
    "subset/44 - 8-channel surround, 192kHz, 24 bit, using only 32nd order predictors",
)

ESCAPE = ("escape", None)
RICE2 = Residual(method=1)


@dataclass
class Case:
    """A stream, its frames and the samples that it holds."""

    name: str
    samples: np.ndarray  # (channels, samples)
    bits: int
    blocks: list
    frames: list
    stream: bytes
    ours: bool  # whether our frame decoder takes it, or leaves it to libFLAC

    def __str__(self):
        return f"{self.name}, {len(self.samples)} channels"


@dataclass(eq=False)
class Recipe:
    name: str
    bits: int = 16
    blocks: tuple = (1024, 1024, 300)
    subframes: tuple = (Subframe(order=2, residual=RICE2),)  # go round for the frames
    signal: str = "music"
    channels: tuple = (1, 2)
    frame: dict = field(default_factory=dict)
    info: dict = field(default_factory=dict)
    metadata: tuple = ()
    sample_numbers: bool = False  # in the frame headers, whatever these call them


# -- signals ------------------------------------------------------------------------


def make_signal(kind, bits, n, seed):
    rng = np.random.default_rng(seed)
    full = 2 ** (bits - 1)
    if kind == "extremes":
        return np.where(rng.random(n) < 0.5, -full, full - 1)
    if kind == "alternating":
        return np.where(np.arange(n) % 2, -full, full - 1)
    if kind == "ramp":
        return np.arange(n) % full
    if kind == "wasted":
        return make_signal("music", bits, n, seed) & ~7
    wave = 0.4 * full * np.sin(np.arange(n) / (7 + seed))
    return np.rint(wave + rng.normal(0, full / 64, n)).clip(-full, full - 1).astype(np.int64)


# -- predictors -----------------------------------------------------------------------


def linear(order, precision, *, shift=None, residual=RICE2):
    """Straight on (twice the last sample less the one before) and a little of the others."""
    shift = max(precision - 3, 0) if shift is None else shift
    limit = 2 ** (precision - 1)
    c = np.random.default_rng(order).integers(-1, 2, order)
    c[: min(order, 2)] += np.array([2, -1][: min(order, 2)]) * 2**shift
    c = tuple(np.clip(c, -limit, limit - 1).tolist())
    return Subframe("lpc", coefficients=c, precision=precision, shift=shift, residual=residual)


def overflowing(order):
    """The largest coefficients, with signs that make the sum of an alternating signal largest."""
    c = tuple(-(2**14) if j % 2 else 2**14 - 1 for j in range(order))
    return Subframe("lpc", coefficients=c, precision=15, shift=15, residual=RICE2)


def overflowing_within(order):
    """The same, but the last coefficients undo what the first do: residuals are small."""
    largest = [2**14] * (order // 2 + 1) + [-(2**14)] * (order - order // 2 - 1)
    c = tuple(min(c if j % 2 else -c, 2**14 - 1) for j, c in enumerate(largest))
    return Subframe("lpc", coefficients=c, precision=15, shift=15, residual=RICE2)


def seek_table(points):
    return 3, (b"\xff" * 8 + bytes(10)) * points


def comment(fields):
    text = b"".join(len(f).to_bytes(4, "little") + f for f in fields)
    return 4, bytes(4) + len(fields).to_bytes(4, "little") + text


def picture(mime, size):
    head = (3).to_bytes(4, "big") + len(mime).to_bytes(4, "big") + mime + bytes(20)
    return 6, head + size.to_bytes(4, "big") + bytes(size)


def cue_sheet(tracks, indexes):
    index = b"".join(bytes(7) + bytes([i, i, 0, 0, 0]) for i in range(indexes))
    numbers = [*range(1, tracks + 1), 255]  # the last is the lead-out
    out = bytes(128 + 8 + 259) + bytes([len(numbers)])
    for number in numbers:
        count = indexes if number < 255 else 0
        out += bytes(8) + bytes([number]) + bytes(26) + bytes([count]) + index[: 12 * count]
    return 5, out


# -- cases -----------------------------------------------------------------------------


def block_size_cases():
    sizes = {1: 4096, 2: 4608, 3: 16, 4: 192, 5: 254, 6: 512, 7: 725, 8: 1000, 9: 1937, 10: 2304}
    for number, size in sizes.items():
        name = f"subset/{number:02} - blocksize {size}"
        yield Recipe(name, blocks=(size, size, size // 3 + 1))
    yield Recipe("a last block of one sample", blocks=(100, 1), subframes=(Subframe("verbatim"),))


def coding_cases():
    escapes = (ESCAPE, None, ("escape", 20), 9, None)
    yield Recipe(
        "subset/11 - partition order 8", subframes=(linear(2, 10, residual=Residual(8)),),
        blocks=(4096, 4096),
    )  # fmt: skip
    yield Recipe("subset/12 - qlp precision 15 bit", subframes=(linear(12, 15),))
    yield Recipe("subset/13 - qlp precision 2 bit", subframes=(linear(12, 2),))
    wasted = Subframe(order=1, wasted=3)
    yield Recipe("subset/14 - wasted bits", signal="wasted", subframes=(wasted, Subframe()))
    yield Recipe("subset/15 - only verbatim subframes", subframes=(Subframe("verbatim"),))
    yield Recipe(
        "subset/16 - partition order 8 containing escaped partitions",
        subframes=(Subframe(order=2, residual=Residual(8, 0, escapes)),),
        blocks=(4096, 4096),
    )
    orders = tuple(Subframe(order=order) for order in range(5))
    yield Recipe("subset/17 - all fixed orders", subframes=orders, blocks=(500,) * 5)
    precisions = tuple(linear(8, precision) for precision in range(1, 16))
    yield Recipe("subset/18 - precision search", subframes=precisions, blocks=(200,) * 15)
    yield Recipe("all orders", subframes=tuple(linear(n, 12) for n in range(1, 33)),
                 blocks=(150,) * 32)  # fmt: skip
    yield Recipe("all shifts", subframes=tuple(linear(4, 15, shift=s) for s in range(14)),
                 blocks=(150,) * 14)  # fmt: skip
    zero = Residual(4, 0, (("escape", 0), ("escape", 1), 0))
    yield Recipe(
        "subset/64 - rice partitions with escape code zero", signal="ramp",
        subframes=(Subframe(order=2, residual=zero),), blocks=(1024, 1024),
    )  # fmt: skip
    yield Recipe(
        "uncommon/09 - Rice partition order 15", blocks=(32768,),
        subframes=(Subframe(order=0, residual=Residual(15, 1)),),
    )  # fmt: skip


def sample_cases():
    yield Recipe("subset/22 - 12 bit per sample", bits=12)
    yield Recipe("subset/23 - 8 bit per sample", bits=8)
    yield Recipe("subset/37 - 20 bit per sample", bits=20)
    yield Recipe("uncommon/07 - 15 bit per sample", bits=15)
    straight = Subframe(order=2, residual=RICE2)
    yield Recipe("uncommon/05 - 32bps audio", bits=32, subframes=(linear(8, 14), straight))
    for number, bits in ((61, 16), (62, 20), (63, 24)):
        name = f"subset/{number} - predictor overflow check, {bits}-bit"
        subframes = (overflowing(32), overflowing(31), overflowing(8), overflowing(1))
        yield Recipe(name, bits=bits, signal="alternating", subframes=subframes, blocks=(300,) * 4)
    subframes = tuple(overflowing_within(order) for order in (32, 31, 8, 2))
    yield Recipe("predictor overflow check, 32-bit", bits=32, signal="alternating",
                 subframes=subframes, blocks=(300,) * 4)  # fmt: skip
    for bits in (8, 12, 16, 20, 24, 32):
        for signal in ("extremes", "alternating"):
            orders = tuple(Subframe(order=n, residual=RICE2) for n in range(5 if bits < 28 else 1))
            verbatim = (Subframe("verbatim"),)
            name = f"full-scale {bits} bits, {signal}"
            escaped = (Subframe(order=0, residual=Residual(1, 1, (ESCAPE, None))),)
            subframes = orders + verbatim + (escaped if bits < 32 else ())
            blocks = (64,) * len(subframes)
            yield Recipe(name, bits=bits, signal=signal, subframes=subframes, blocks=blocks)


def rate_cases():
    rates = {"subset/19 - samplerate 35467Hz": 35467, "subset/20 - samplerate 39kHz": 39000}
    rates |= {"subset/21 - samplerate 22050Hz": 22050, "subset/33 - samplerate 192kHz": 192000}
    rates |= {"subset/35 - samplerate 134560Hz": 134560, "subset/36 - samplerate 384kHz": 384000}
    rates |= {"uncommon/06 - samplerate 768kHz": 768000}
    for name, rate in rates.items():
        yield Recipe(name, frame={"rate": rate}, info={"rate": rate}, blocks=(200, 150))
    yield Recipe(
        "subset/34 - samplerate 192kHz, using only 32nd order predictors", bits=24,
        frame={"rate": 192000}, info={"rate": 192000}, subframes=(linear(32, 15),),
    )  # fmt: skip


def high_resolution_cases():
    name = "subset/{} - high resolution audio, {}"
    yield Recipe(name.format(28, "default settings"), 24, (4096, 1000), (linear(8, 14),))
    yield Recipe(name.format(29, "blocksize 16384"), 24, (16384, 1000))
    yield Recipe(name.format(30, "blocksize 13456"), 24, (13456, 1000))
    only = "using only 32nd order predictors"
    yield Recipe(name.format(31, only), 24, (4096, 1000), (linear(32, 15),))
    escaped = Subframe(order=1, residual=Residual(8, 1, (None, ESCAPE, None)))
    partitions = "partition order 8 containing escaped partitions"
    yield Recipe(name.format(32, partitions), 24, (4096, 4096), (escaped,))
    yield Recipe("uncommon/08 - blocksize 65535", blocks=(65535, 65535, 7))


def variable_cases():
    variable = {"frame": {"variable": True}, "sample_numbers": True}
    name = "subset/{} - variable blocksize file created with {}"
    yield Recipe(name.format(24, "flake revision 264"), blocks=(4608, 1152, 2304), **variable)
    smaller = "flake revision 264, modified to create smaller blocks"
    yield Recipe(name.format(25, smaller), blocks=(576, 16, 100, 256, 48), **variable)
    yield Recipe(name.format(26, "CUETools.Flake 2.1.6"), blocks=(4096, 2048, 1024, 99), **variable)
    old = "subset/27 - old format variable blocksize file created with Flake 0.11"
    blocks = (1152, 576, 2304, 1000)
    yield Recipe(old, blocks=blocks, sample_numbers=True, info={"blocks": (576, 2304)})


def metadata_cases():
    yield Recipe("subset/45 - no total number of samples set", info={"total": 0})
    yield Recipe("subset/46 - no min-max framesize set", info={"sizes": (0, 0)})
    yield Recipe("subset/47 - only STREAMINFO")
    big = [seek_table(50_000), (1, bytes(2**20)), picture(b"image/png", 2**20)]
    big += [comment([b"A=" + b"a" * 2**20]), (2, b"test" + bytes(2**20))]
    big += [cue_sheet(254, 255)]
    names = ["48 - Extremely large SEEKTABLE", "49 - Extremely large PADDING"]
    names += ["50 - Extremely large PICTURE", "51 - Extremely large VORBISCOMMENT"]
    names += ["52 - Extremely large APPLICATION", "53 - CUESHEET with very many indexes"]
    for name, block in zip(names, big, strict=True):
        yield Recipe(f"subset/{name}", metadata=(block,), blocks=(200, 100))
    repeated = (comment([b"TITLE=again"]),) * 1000
    yield Recipe("subset/54 - 1000x repeating VORBISCOMMENT", metadata=repeated, blocks=(200, 100))
    yield Recipe("subset/55 - file 48-53 combined", metadata=tuple(big), blocks=(200, 100))
    pictures = {"56 - JPG": b"image/jpeg", "57 - PNG": b"image/png"}
    pictures |= {"58 - GIF": b"image/gif", "59 - AVIF": b"image/avif"}
    for name, mime in pictures.items():
        yield Recipe(f"subset/{name} PICTURE", metadata=(picture(mime, 99),), blocks=(200, 100))
    yield Recipe("subset/60 - mono audio", channels=(1,))


def stereo_cases():
    """The bench's recordings are stereo: decorrelated ones among them."""
    for assignment in ("left/side", "side/right", "mid/side"):
        for bits in (8, 16, 24):
            yield Recipe(
                f"{assignment} stereo, {bits} bits", bits=bits, channels=(2,),
                frame={"assignment": assignment}, subframes=(linear(3, 9), Subframe(order=1)),
            )  # fmt: skip


@functools.cache
def make(recipe, channels):
    total = sum(recipe.blocks)
    signals = [make_signal(recipe.signal, recipe.bits, total, seed) for seed in range(channels)]
    samples = np.stack(signals)
    frames, at = [], 0
    for i, block in enumerate(recipe.blocks):
        number = at if recipe.sample_numbers else i
        subframe = recipe.subframes[i % len(recipe.subframes)]
        part = samples[:, at : at + block]
        frames.append(frame(part, recipe.bits, number, [subframe] * channels, **recipe.frame))
        at += block
    first = max(recipe.blocks[0], 16)
    blocks = (max(min(recipe.blocks), 16), max(recipe.blocks))
    blocks = blocks if recipe.sample_numbers else (first, first)
    sizes = (min(map(len, frames)), max(map(len, frames)))
    info = {"total": total, "blocks": blocks, "sizes": sizes} | recipe.info
    info = stream_info(channels=channels, bits=recipe.bits, **info)
    whole = stream(info, frames, recipe.metadata)
    ours = not recipe.frame.keys() & {"variable", "assignment"} and recipe.bits != 15
    return Case(recipe.name, samples, recipe.bits, list(recipe.blocks), frames, whole, ours)


def recipes():
    yield from block_size_cases()
    yield from coding_cases()
    yield from sample_cases()
    yield from rate_cases()
    yield from high_resolution_cases()
    yield from variable_cases()
    yield from metadata_cases()
    yield from stereo_cases()


RECIPES = [(recipe, channels) for recipe in recipes() for channels in recipe.channels]
