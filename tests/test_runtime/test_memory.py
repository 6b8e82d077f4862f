"""Peak memory: input, output, and at most a tenth on top."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

# Linux tells a process its own peak, and takes it back to the present on request.
PROGRAM = """
import re, sys
import numpy as np
from flaccodec.core import QuantaRule, decode_chunk, encode_chunk

def status(name):
    return int(re.search(name + r":\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

def growth(function):
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    result = function()
    return status("VmHWM") - before, result

dtype, shape, threads = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
array = np.empty(shape, dtype)
for stream in array.reshape(-1, shape[-1]):
    stream[:] = rng.normal(0, 3000, shape[-1])
rule = QuantaRule.GIVEN if dtype.startswith("f") else QuantaRule.NONE
options = {"rule": rule, "parameters": 0.5, "num_threads": threads}
encode_chunk(array[:1, :100_000].copy(), **options)  # libraries and thread pools are there
encoding, chunk = growth(lambda: encode_chunk(array, **options))
out = np.empty(shape, dtype)  # its pages come with the first write, and so in the peak
decoding, _ = growth(lambda: decode_chunk(chunk, out, num_threads=threads))
print(encoding - chunk.nbytes, decoding - out.nbytes, array.nbytes + chunk.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("int32", (100, 200_000)),
        ("int16", (60_000, 500)),
        ("float64", (1, 10_000_000)),
        ("float32", (20_000, 1000)),
    ],
)
def test_peak_memory(dtype, shape, threads):
    arguments = [dtype, repr(shape), str(threads)]
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    encoding, decoding, both = map(int, result.stdout.split())
    assert encoding <= both / 10
    assert decoding <= both / 10


FROM_ARRAY = """
import re, sys
import numpy as np
from flaccodec import FlacArray

def status(name):
    return int(re.search(name + r":\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

options, step, threads = eval(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
array = np.random.default_rng(0).normal(0, 3000, (2000, 5000))
if step:
    array.reshape(-1)[::step] = np.nan
FlacArray.from_array(array[:50].copy(), use_threads=threads > 1, **options)
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
fa = FlacArray.from_array(array, use_threads=threads > 1, **options)
print(status("VmHWM") - before - len(fa.to_chunk()), array.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("nan_every", [0, 7, 1000])
@pytest.mark.parametrize("options", [{}, {"quanta": 0.5}, {"precision": 3}, {"lossless": True}])
def test_peak_memory_of_from_array(options, nan_every, threads):
    arguments = [repr(options), str(nan_every), str(threads)]
    result = subprocess.run(
        [sys.executable, "-c", FROM_ARRAY, *arguments], capture_output=True, text=True, check=True
    )
    beyond, given = map(int, result.stdout.split())
    assert beyond <= given / 10


CHUNK_AFTER_CHUNK = """
import resource, sys
import h5py
import numpy as np
from flaccodec import hdf5

array = np.random.default_rng(0).integers(-1000, 1000, (100, 100_000)).astype(np.int32)
with h5py.File(sys.argv[1], "w") as file:
    file.create_dataset("x", data=array, chunks=(10, 100_000), compression=hdf5.Flac())

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with h5py.File(sys.argv[1]) as file:
        file["x"].read_direct(array)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(*[faults() for _ in range(9)])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc is asked to keep memory")
def test_chunks_take_the_memory_of_those_before(tmp_path):
    """HDF5 takes memory for each chunk's bytes, and the filter for its samples."""
    command = [sys.executable, "-c", CHUNK_AFTER_CHUNK, str(tmp_path / "x.h5")]
    # dask's clusters leave MALLOC_TRIM_THRESHOLD_ in this process, and glibc does as it says.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    _, *later = map(int, result.stdout.split())
    chunk_pages = 4_000_000 // 4096
    assert sorted(later)[len(later) // 2] < chunk_pages / 10
