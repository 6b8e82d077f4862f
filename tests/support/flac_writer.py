"""FLAC frames and streams written as told, bit by bit (RFC 9639), and not as is best.

For what no encoder at hand writes: any predictor, partitioning, header field. Bits are
strings of "0" and "1" until a frame is whole.
"""

from dataclasses import dataclass, field

import numpy as np

FIXED = [(), (1,), (2, -1), (3, -3, 1), (4, -6, 4, -1)]
BIT_DEPTH_CODES = {8: 1, 12: 2, 16: 4, 20: 5, 24: 6, 32: 7}
RATE_CODES = {88200: 1, 176400: 2, 192000: 3, 8000: 4, 16000: 5, 22050: 6, 24000: 7}
RATE_CODES |= {32000: 8, 44100: 9, 48000: 10, 96000: 11}
BLOCK_CODES = {192: 1} | {144 << n: n for n in range(2, 6)} | {1 << n: n for n in range(8, 16)}
ASSIGNMENTS = {"left/side": 8, "side/right": 9, "mid/side": 10}


def signed(value, bits):
    return f"{int(value) & ((1 << bits) - 1):0{bits}b}" if bits else ""


def crc(data, polynomial, width):
    value, top = 0, 1 << (width - 1)
    for byte in data:
        value ^= byte << (width - 8)
        for _ in range(8):
            value = value << 1 ^ (polynomial if value & top else 0)
        value &= (1 << width) - 1
    return value


def _table(polynomial, width):
    return [crc(bytes([byte]), polynomial, width) for byte in range(256)]


CRC16_TABLE = _table(0x8005, 16)


def crc16(data):
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ CRC16_TABLE[value >> 8 ^ byte]
    return value


def to_bytes(bits):
    bits += "0" * (-len(bits) % 8)
    return int("1" + bits, 2).to_bytes(len(bits) // 8 + 1, "big")[1:]


def coded_number(number):
    """UTF-8's scheme, carried on to 36 bits."""
    if number < 0x80:
        return signed(number, 8)
    tail = 1
    while number >> (5 * tail + 6):
        tail += 1
    first = "1" * (tail + 1) + "0" * (7 - tail)
    bits = signed(int(first, 2) | number >> 6 * tail, 8)
    for i in reversed(range(tail)):
        bits += "10" + signed(number >> 6 * i, 6)
    return bits


# -- subframes ----------------------------------------------------------------------


@dataclass
class Residual:
    """How residuals are coded: parameters go round for the partitions.

    A parameter is a Rice parameter, None for a fitting one, or ("escape", bits), with
    None for as many bits as it takes.
    """

    partition_order: int = 0
    method: int = 0  # 0 has parameters of 4 bits, 1 of 5
    parameters: tuple = (None,)


def _folded(residual):
    return (residual << 1) ^ (residual >> 63)


def _partition(residual, parameter, method):
    width = 4 + method
    if isinstance(parameter, tuple):
        bits = parameter[1]
        if bits is None:
            bits = max((int(v if v >= 0 else ~v).bit_length() + 1 for v in residual), default=0)
        values = "".join(signed(v, bits) for v in residual)
        return signed((1 << width) - 1, width) + signed(bits, 5) + values
    folded = _folded(residual)
    assert not folded.size or folded.max() < 2**32, "a residual has more than 32 bits"
    if parameter is None:
        mean = int(folded.mean()) if folded.size else 0
        parameter = min(max(mean.bit_length() - 1, 0), (1 << width) - 2)
    mask = (1 << parameter) - 1
    codes = (
        "0" * (u >> parameter) + "1" + (f"{u & mask:0{parameter}b}" if parameter else "")
        for u in folded.tolist()
    )
    return signed(parameter, width) + "".join(codes)


def _coded_residual(residual, order, samples, how):
    bits = signed(how.method, 2) + signed(how.partition_order, 4)
    partition = samples >> how.partition_order
    assert partition << how.partition_order == samples
    at = 0
    for i in range(1 << how.partition_order):
        n = partition - (order if i == 0 else 0)
        parameter = how.parameters[i % len(how.parameters)]
        bits += _partition(residual[at : at + n], parameter, how.method)
        at += n
    return bits


@dataclass
class Subframe:
    """How a channel is coded.

    kind is "constant", "verbatim", "fixed" (with order) or "lpc" (with coefficients,
    precision and shift).
    """

    kind: str = "fixed"
    order: int = 0
    coefficients: tuple = ()
    precision: int = 12
    shift: int = 0
    wasted: int = 0
    residual: Residual = field(default_factory=Residual)

    def _type(self):
        order = len(self.coefficients) if self.kind == "lpc" else self.order
        return {"constant": 0, "verbatim": 1, "fixed": 8 + order, "lpc": 31 + order}[self.kind]

    def write(self, x, bits):
        x = np.asarray(x, np.int64)
        assert not (x & ((1 << self.wasted) - 1)).any()
        x, bits = x >> self.wasted, bits - self.wasted
        out = "0" + signed(self._type(), 6)
        out += "1" + "0" * (self.wasted - 1) + "1" if self.wasted else "0"
        if self.kind == "constant":
            assert (x == x[0]).all()
            return out + signed(x[0], bits)
        if self.kind == "verbatim":
            return out + "".join(signed(v, bits) for v in x)
        coefficients = self.coefficients if self.kind == "lpc" else FIXED[self.order]
        order = len(coefficients)
        sums = np.zeros(len(x) - order, np.int64)
        for j, c in enumerate(coefficients):
            sums += c * x[order - 1 - j : len(x) - 1 - j]
        out += "".join(signed(v, bits) for v in x[:order])
        if self.kind == "lpc":
            out += signed(self.precision - 1, 4) + signed(self.shift, 5)
            out += "".join(signed(c, self.precision) for c in coefficients)
        residual = x[order:] - (sums >> self.shift)
        return out + _coded_residual(residual, order, len(x), self.residual)


# -- frames ---------------------------------------------------------------------------


def _rate_field(rate):
    """Return the code of a sample rate, and what is written at the header's end."""
    if rate in RATE_CODES:
        return RATE_CODES[rate], ""
    if rate % 1000 == 0 and rate < 256000:
        return 12, signed(rate // 1000, 8)
    if rate < 65536:
        return 13, signed(rate, 16)
    if rate % 10 == 0 and rate < 655360:
        return 14, signed(rate // 10, 16)
    return 0, ""  # only STREAMINFO can tell


def _block_field(samples, plain):
    if samples in BLOCK_CODES and not plain:
        return BLOCK_CODES[samples], ""
    if samples <= 256:
        return 6, signed(samples - 1, 8)
    return 7, signed(samples - 1, 16)


def _decorrelated(channels, assignment):
    """Return the channels as they are coded, and the bits that each has more."""
    if assignment is None:
        return channels, [0] * len(channels)
    left, right = channels
    side = left - right
    if assignment == "left/side":
        return [left, side], [0, 1]
    if assignment == "side/right":
        return [side, right], [1, 0]
    return [(left + right) >> 1, side], [0, 1]


def frame(
    channels,
    bits,
    number,
    subframes,
    *,
    assignment=None,
    rate=44100,
    variable=False,
    plain_block=False,
    state_bits=True,
):
    """Return the bytes of a frame; number counts samples where variable is true."""
    channels = [np.asarray(c, np.int64) for c in channels]
    block, block_extra = _block_field(len(channels[0]), plain_block)
    rate_code, rate_extra = _rate_field(rate)
    how = ASSIGNMENTS[assignment] if assignment else len(channels) - 1
    depth = BIT_DEPTH_CODES.get(bits, 0) if state_bits else 0
    header = "11111111111110" + "0" + str(int(variable)) + signed(block, 4)
    header += signed(rate_code, 4) + signed(how, 4) + signed(depth, 3) + "0"
    header = to_bytes(header + coded_number(number) + block_extra + rate_extra)
    header += bytes([crc(header, 0x07, 8)])
    coded, more = _decorrelated(channels, assignment)
    body = "".join(
        s.write(c, bits + extra) for s, c, extra in zip(subframes, coded, more, strict=True)
    )
    whole = header + to_bytes(body)
    return whole + crc16(whole).to_bytes(2, "big")


# -- streams ----------------------------------------------------------------------------


def metadata_block(kind, content, *, last=False):
    return bytes([last << 7 | kind]) + len(content).to_bytes(3, "big") + content


def stream_info(*, channels, bits, total, blocks=(16, 65535), sizes=(0, 0), rate=44100):
    """Return a STREAMINFO block's content, its MD5 not computed."""
    fields = signed(blocks[0], 16) + signed(blocks[1], 16) + signed(sizes[0], 24)
    fields += signed(sizes[1], 24) + signed(rate, 20) + signed(channels - 1, 3)
    fields += signed(bits - 1, 5) + signed(total, 36)
    return to_bytes(fields) + bytes(16)


def stream(info, frames, blocks=()):
    """Return a whole stream; blocks are (kind, content) of further metadata."""
    out = b"fLaC" + metadata_block(0, info, last=not blocks)
    for i, (kind, content) in enumerate(blocks):
        out += metadata_block(kind, content, last=i + 1 == len(blocks))
    return out + b"".join(frames)
