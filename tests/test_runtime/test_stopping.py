"""Long calls end soon after a signal, or when nobody wants them any more, and leave nothing."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from flaccodec import FlacArray, core, hdf5
from flaccodec.compress import array_compress
from flaccodec.numcodecs import Flac
from flaccodec.runtime.stopping import Stop, Stopped, current_stop

h5py = pytest.importorskip("h5py")

LATEST = 0.5
"""Seconds; 0.2 are promised, on a machine that does nothing else."""

TRIES = 4


@pytest.fixture(scope="module")
def noise():
    """64 MB, which take some tenths of a second to encode at level 8."""
    return np.random.default_rng(0).integers(-(2**20), 2**20, (16, 2**20), dtype=np.int32)


@pytest.fixture(scope="module")
def long(noise):
    """512 MB, without taking them: seconds of work for any machine."""
    return np.broadcast_to(noise, (8, *noise.shape))


class RingError(Exception):
    """What a handler raises."""


@contextlib.contextmanager
def signal_after(seconds, number=signal.SIGINT):
    """Send this process a signal from another thread; gives a list of when it was sent."""
    sent, over = [], threading.Event()

    def send():
        if not over.wait(seconds):
            sent.append(time.perf_counter())
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        over.set()
        thread.join()


def seconds_until_raised(work, error=KeyboardInterrupt, number=signal.SIGINT):
    with signal_after(0.3, number) as sent:
        try:
            work()
        except error:
            return time.perf_counter() - sent[0]
    raise AssertionError("it ended before the signal, or nobody noticed")


def check_soon(work, error=KeyboardInterrupt, number=signal.SIGINT):
    """Check that work ends soon after a signal, in one of a few tries: others use processors."""
    before = threading.active_count()
    waited = []
    for _ in range(TRIES):
        waited.append(seconds_until_raised(work, error, number))
        assert threading.active_count() == before
        if waited[-1] < LATEST:
            return
    raise AssertionError(f"signals took {waited} s")


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_encoding_is_interrupted(noise, long, num_threads):
    check_soon(lambda: core.encode_chunk(long, level=8, num_threads=num_threads))
    few = noise[:, :10_000]
    assert np.array_equal(core.decode_chunk(core.encode_chunk(few)), few)


def test_handlers_raise_what_they_like(long):
    def ring(*_):
        raise RingError("ring")

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        check_soon(lambda: Flac(level=8).encode(long), RingError, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_handlers_that_raise_nothing_are_run_meanwhile(noise):
    part = noise
    rung = []

    def ring(*_):
        rung.append(time.perf_counter())
        rung.append(core.encode_chunk(part[:, :1000]))  # it may use what it interrupts

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        with signal_after(0.05, signal.SIGUSR1):
            chunk = core.encode_chunk(part, level=8)
            end = time.perf_counter()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert rung[0] < end
    assert np.array_equal(core.decode_chunk(rung[1]), part[:, :1000])
    assert np.array_equal(core.decode_chunk(chunk), part)


def test_two_signals_at_once():
    """The second may come while the first one's exception is taken care of."""
    program = """
import os, signal, threading, time, numpy as np
from flaccodec import core
noise = np.random.default_rng(0).integers(-(2**20), 2**20, (16, 2**20), dtype=np.int32)
done = False
def ring():
    time.sleep(0.2)
    while not done:
        os.kill(os.getpid(), signal.SIGUSR1)
class Ring(Exception): pass
def handler(*_): raise Ring
signal.signal(signal.SIGUSR1, handler)
thread = threading.Thread(target=ring, daemon=True)
thread.start()
begin = time.perf_counter()
try:
    core.encode_chunk(np.broadcast_to(noise, (8, *noise.shape)), level=8)
except (Ring, KeyboardInterrupt):
    os._exit(0)
os._exit(1)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)
    assert done.returncode == 0


def test_other_threads_are_not_interrupted(noise):
    chunks = []
    thread = threading.Thread(target=lambda: chunks.append(core.encode_chunk(noise[:2], level=8)))
    with signal_after(0.1), contextlib.suppress(KeyboardInterrupt):
        thread.start()
        time.sleep(20)
    while not chunks:
        time.sleep(0.01)
    thread.join()
    assert np.array_equal(core.decode_chunk(chunks[0]), noise[:2])


def test_spans_are_interrupted():
    """Each sample of a stream of its own, which takes seconds."""
    x = np.arange(2**18, dtype=np.int32).reshape(-1, 1)
    chunk = core.encode_chunk(x)
    order = np.random.default_rng(0).permutation(len(x))
    spans = np.zeros(len(x), dtype=core.SPAN_DTYPE)
    spans["stream"], spans["count"], spans["out_offset"] = order, 1, np.arange(len(x)) * 4
    out = np.empty_like(x)
    many = np.concatenate([spans] * 20)
    check_soon(lambda: core.decode_spans(chunk, [(0, chunk)], many, out))
    core.decode_spans(chunk, [(0, chunk)], spans, out)
    assert np.array_equal(out[:, 0], x[order, 0])


# -- each function of C, when somebody else stops it ---------------------------------------


@contextlib.contextmanager
def stop():
    stop = Stop()
    token = current_stop.set(stop)
    try:
        yield stop
    finally:
        current_stop.reset(token)


def compressed():
    x = np.arange(40_000, dtype=np.int32).reshape(4, -1)
    return x, core.encode_chunk(x)


def decode_foreign(x, _, num_threads):
    compressed, starts, nbytes, _, _ = array_compress(x)
    return lambda: core.decode_streams(
        compressed, starts, nbytes, 10_000, 5, 9_000, wide=False, num_threads=num_threads
    )


def decode_some(x, chunk, num_threads):
    spans = np.array([(1, 5, 100, 0), (2, 5000, 100, 400)], dtype=core.SPAN_DTYPE)
    out = np.empty((2, 100), dtype=x.dtype)
    return lambda: core.decode_spans(chunk, [(0, chunk)], spans, out, num_threads=num_threads)


CALLS = {
    "encode": lambda x, _, n: lambda: core.encode_chunk(x, num_threads=n),
    "encode, level 8": lambda x, _, n: lambda: core.encode_chunk(x, level=8, num_threads=n),
    "encode, quanta": lambda x, _, n: (
        lambda: core.encode_chunk(
            x.astype("f8"),
            rule=core.QuantaRule.PRECISION,
            parameters=3,
            fill_value=0,
            num_threads=n,
        )
    ),
    "encode, one stream": lambda x, _, n: (
        lambda: core.encode_chunk(x.reshape(1, -1), num_threads=n)
    ),
    "decode": lambda _, chunk, n: lambda: core.decode_chunk(chunk, num_threads=n),
    "decode spans": decode_some,
    "check": lambda _, chunk, n: lambda: core.check_streams(chunk, num_threads=n),
    "gather": lambda _, chunk, n: lambda: core.gather_streams([chunk], np.array([[0, 2], [0, 1]])),
    "decode foreign": decode_foreign,
}


@pytest.mark.parametrize("num_threads", [1, 2, 5])
@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_calls_that_nobody_wants_end(call, num_threads):
    work = call(*compressed(), num_threads)
    expected = work()
    with stop() as nobody_wants_it:
        nobody_wants_it.set()
        with pytest.raises(Stopped):
            work()
    with stop():
        np.testing.assert_array_equal(work(), expected)


def test_what_is_stopped_in_another_thread_ends_soon(long):
    waited = []

    def work(stop):
        current_stop.set(stop)
        with contextlib.suppress(Stopped):
            core.encode_chunk(long, level=8)
            waited.append(99.0)

    for _ in range(TRIES):
        stop = Stop()
        thread = threading.Thread(target=work, args=(stop,))
        thread.start()
        time.sleep(0.2)
        begin = time.perf_counter()
        stop.set()
        thread.join()
        waited.append(time.perf_counter() - begin)
        if waited[-1] < LATEST:
            return
    raise AssertionError(f"it took {waited} s")


def resident():
    """Return the bytes of memory that this process has."""
    words = Path("/proc/self/statm").read_text().split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_is_freed(long):
    before = resident()
    for _ in range(6):
        seconds_until_raised(lambda: core.encode_chunk(long, level=8))
    assert resident() - before < 40e6  # of 6 times some 10 MB and more


# -- doors ---------------------------------------------------------------------------------


def test_arrays_are_interrupted(long):
    check_soon(lambda: FlacArray.from_array(long, level=8))


def test_writing_hdf5_is_interrupted(noise, long, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        options = {"chunks": (1, 1, 2**20), "compression": hdf5.Flac(level=8)}
        x = file.create_dataset("x", long.shape, long.dtype, **options)
        check_soon(lambda: hdf5.write(x, long, num_threads=3))
        hdf5.write(x, noise[:2], np.s_[0, :2], num_threads=3)
    with h5py.File(tmp_path / "x.h5") as file:
        assert np.array_equal(file["x"][0, :2], noise[:2])


# Python drops what a handler raises inside a callback of h5py's weak references.
@pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("num_threads", [1, 3])
def test_reading_hdf5_is_interrupted(noise, num_threads, monkeypatch):
    """At any time: where it ended before, nothing is wrong."""
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        options = {"chunks": (4, 2**20), "compression": hdf5.Flac()}
        x = file.create_dataset("x", noise.shape, noise.dtype, **options)
        hdf5.write(x, noise)
        before = threading.active_count()
        for seconds in (0.001, 0.02, 0.05, 0.1):
            with contextlib.suppress(KeyboardInterrupt), signal_after(seconds):
                hdf5.read(x, num_threads=num_threads)
                time.sleep(0.3)
            assert threading.active_count() == before
        assert np.array_equal(hdf5.read(x, num_threads=num_threads), noise)
