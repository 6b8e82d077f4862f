"""The system makes no more threads: work goes on with those there are, and none is left behind."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("h5py")
pytest.importorskip("zarr")

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="NOT TESTED: only root can become a user of its own, for whom threads are counted",
)

BEGIN = """
import os, resource, sys, threading
import h5py, numpy as np, zarr
import flaccodec, flaccodec.hdf5.as_zarr.arrays, flaccodec.zarr.arrays
from flaccodec import FlacArray, core, hdf5
from flaccodec.numcodecs import Flac
# zarr's pipeline and what else is imported late: another user may not read the modules
flaccodec.create_array({}, data=np.arange(3), chunks=(3,))[:]

x = np.cumsum(np.random.default_rng(0).integers(-9, 9, (16, 20_000)), axis=1).astype("i4")
file = h5py.File("o", "w", driver="core", backing_store=False)
d = file.create_dataset("x", data=x, chunks=(2, 20_000), compression=hdf5.Flac())
file.flush()
d.dims  # h5py imports it late, too

def count():
    return len(os.listdir("/proc/self/task"))

def write():
    d[...] = 0
    hdf5.write(d, x, num_threads=8)
    return hdf5.read(d, num_threads=1)

def write_in_part():
    d[...] = 0
    hdf5.write(d, x[:, 5:], np.s_[:, 5:], num_threads=8)
    hdf5.write(d, x[:, :5], np.s_[:, :5], num_threads=8)
    return d[...]

def create():
    options = dict(chunks=(2, 20_000))
    return flaccodec.create_array({}, data=x, **options)[...]

def select():
    options = dict(chunks=(2, 20_000))
    z = flaccodec.create_array({}, data=x, **options)
    return np.concatenate([z[:, :7], z[:, 7:]], axis=1)

def from_zarr():
    z = hdf5.to_zarr(d, {})
    return FlacArray.from_zarr(z)[...]

DOORS = {
    "hdf5.read": lambda: hdf5.read(d, num_threads=8),
    "hdf5.write": write,
    "hdf5.write in part": write_in_part,
    "h5py": lambda: d[...],
    "to_zarr": lambda: hdf5.to_zarr(d, {})[...],
    "from_zarr": from_zarr,
    "create_array": create,
    "selection": select,
    "FlacArray": lambda: FlacArray.from_array(x, use_threads=True).to_array(),
    "core": lambda: core.decode_chunk(core.encode_chunk(x, num_threads=8), num_threads=8),
    "numcodecs": lambda: Flac().decode(Flac().encode(x)).reshape(x.shape),
}
"""

LIMITED = """
os.setuid(int(sys.argv[1]))
_, MOST = resource.getrlimit(resource.RLIMIT_NPROC)
# Of C's pool, which stay once they are made, there are none yet.
for more in (0, 1, 2, 3, 0):
    for name, door in DOORS.items():
        before = threading.active_count()
        allowed = count() + more
        resource.setrlimit(resource.RLIMIT_NPROC, (allowed, MOST))
        try:
            right = np.array_equal(door(), x)
        except BaseException as error:
            right = repr(error)
        left = threading.active_count() - before
        zarr_s = sum(t.name.startswith(("asyncio", "zarr")) for t in threading.enumerate())
        print(more, name, right, left <= zarr_s, count() <= allowed)
"""


def run(program, *arguments):
    environment = os.environ | {"FLACCODEC_NUM_THREADS": "8"}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@needs_root
def test_every_door_works_without_more_threads():
    lines = run(LIMITED, 200_000 + os.getpid())
    assert len(lines) == 55
    assert [line for line in lines if not line.endswith("True True True")] == []


FAILING = """
start = threading.Thread.start
for k in range(1, 9):
    for name, door in DOORS.items():
        n = 0
        def failing(self):
            global n
            n += 1
            if n >= k:
                raise RuntimeError("can't start new thread")
            start(self)
        before = threading.active_count()
        threading.Thread.start = failing
        try:
            right = np.array_equal(door(), x)
        except BaseException as error:
            right = repr(error)
        threading.Thread.start = start
        zarr_s = sum(t.name.startswith(("asyncio", "zarr")) for t in threading.enumerate())
        print(k, name, right, threading.active_count() - before <= zarr_s)
"""


def test_every_door_works_where_any_start_of_a_thread_fails():
    lines = run(FAILING)
    assert len(lines) == 88
    assert [line for line in lines if not line.endswith("True True")] == []
