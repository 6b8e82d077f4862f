"""A process that is killed while it writes to S3: what was not finished does not open."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import h5py
import numpy as np
import obstore.store
import pytest
import zarr
from zarr.storage import ObjectStore

import flaccodec
from flaccodec import hdf5

pytest_plugins = ["support.servers.s3"]

SHAPE, CHUNKS = (12, 4000), (1, 4000)
MOMENTS = 10
WRITES = {"PUT", "POST", "DELETE"}


def walk(seed):
    steps = np.random.default_rng(seed).integers(-9, 9, SHAPE)
    return 1000 + np.cumsum(steps, axis=1).astype("int32")


DATA, OLD = walk(0), walk(1)

# All is imported and made before it forks, so that each process to kill is there at once.
PROGRAM = """
import json, os, sys
import h5py, numpy as np, obstore.store
from zarr.storage import ObjectStore
from flaccodec import FlacArray, create_array, hdf5
source = h5py.File("source.h5")["x"]
data = np.load("data.npy")
fa = FlacArray.from_array(data)
DOORS = {
    "hdf5.to_zarr": lambda *args, **kwargs: hdf5.to_zarr(source, *args, **kwargs),
    "FlacArray.to_zarr": lambda *args, **kwargs: fa.to_zarr(*args, chunks=(1, 4000), **kwargs),
    "create_array": lambda *args, **kwargs: create_array(
        *args, data=data, chunks=(1, 4000), **kwargs
    ),
}
for line in sys.stdin:
    door, options, bucket, config = json.loads(line)
    pid = os.fork()
    if not pid:
        DOORS[door](ObjectStore(obstore.store.S3Store(bucket, **config)), **options)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Writer:
    """Forks processes that write, and kills them as S3 is asked for a change."""

    def __init__(self, process, s3):
        self.process, self.s3 = process, s3

    def config(self):
        allowed = {"client_options": {"allow_http": True}, "region": self.s3.region}
        return {"endpoint": self.s3.url, **allowed, **self.s3.keys}

    def store(self, bucket):
        return ObjectStore(obstore.store.S3Store(bucket, **self.config()))

    def write(self, bucket, door, options, killed_at=None):
        """Write; return how many changes S3 was asked for, and how the process ended.

        Parameters
        ----------
        killed_at : int, optional
            The process is gone before the answer to this request for a change, counted from 0.
        """
        known, lock = threading.Event(), threading.Lock()
        pid, asked = None, 0

        def before(method, path):
            nonlocal asked
            if method not in WRITES or not path.startswith(f"/{bucket}/"):
                return  # the latter of a process that was killed before
            known.wait(60)
            with lock:
                if asked == killed_at:
                    os.kill(pid, signal.SIGKILL)
                asked += 1

        with self.s3.before_each(before):
            line = json.dumps([door, options, bucket, self.config()])
            print(line, file=self.process.stdin, flush=True)
            pid = int(self.process.stdout.readline())
            known.set()
            code = int(self.process.stdout.readline())
        return asked, code


@pytest.fixture(scope="module")
def writer(s3, tmp_path_factory):
    folder = tmp_path_factory.mktemp("writer")
    np.save(folder / "data.npy", DATA)
    with h5py.File(folder / "source.h5", "w") as file:
        file.create_dataset("x", data=DATA, chunks=CHUNKS, compression=hdf5.Flac())
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Writer(process, s3)
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("door", ["hdf5.to_zarr", "FlacArray.to_zarr", "create_array"])
@pytest.mark.parametrize("options", [{"name": "group/x"}, {"overwrite": True}], ids=str)
def test_what_was_killed_does_not_open(writer, s3, door, options):
    """From the first change that S3 is asked for to the last."""

    def start():
        bucket = s3.make_bucket()
        if "overwrite" in options:
            flaccodec.create_array(writer.store(bucket), data=OLD, chunks=(3, 4000))
        return bucket

    def what_opens(bucket):
        try:
            store = writer.store(bucket)
            return zarr.open_array(store, path=options.get("name"), mode="r")[...]
        except FileNotFoundError:
            return None

    bucket = start()
    total, code = writer.write(bucket, door, options)
    assert code == 0
    assert total > SHAPE[0]
    np.testing.assert_array_equal(what_opens(bucket), DATA)
    for moment in sorted(set(np.linspace(0, total - 1, MOMENTS).astype(int).tolist())):
        bucket = start()
        _, code = writer.write(bucket, door, options, moment)
        assert code == -signal.SIGKILL
        found = what_opens(bucket)
        if moment == 0 and found is not None:  # that change was not made, or was
            np.testing.assert_array_equal(found, OLD)
        elif moment == total - 1 and found is not None:
            np.testing.assert_array_equal(found, DATA)
        else:
            assert found is None, f"opens after {moment} of {total} changes"
