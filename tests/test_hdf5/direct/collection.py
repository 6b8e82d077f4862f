"""Read and copy in a callback of ``visititems`` while garbage has objects of h5py.

Run in a process of its own, which is killed where it waits for ever.
"""

import gc
import sys
import threading

import h5py
import numpy as np

from flaccodec import core, hdf5


class Node:
    """A part of a cycle."""


def leave_garbage(n):
    for i in range(n):
        node = Node()
        node.itself = node
        node.file = h5py.File(f"garbage-{i}", "w", driver="core", backing_store=False)


def collecting_elsewhere(function):
    """Let garbage be collected in the threads that help, and in no other; wait for one."""
    helped = threading.Event()

    def called(*args, **kwargs):
        if threading.current_thread() is threading.main_thread():
            helped.wait(20)
        else:
            gc.set_threshold(10, 1, 1)
            kept = [[] for _ in range(1000)]
            gc.set_threshold(0)
            del kept
            helped.set()
        return function(*args, **kwargs)

    return called


def main(folder):
    wanted = np.arange(400_000, dtype="i4").reshape(40, -1)
    with h5py.File(f"{folder}/x.h5", "w") as file:
        file.create_dataset("x", data=wanted, chunks=(1, 1000), compression=hdf5.Flac())
    core.decode_chunk = collecting_elsewhere(core.decode_chunk)
    core.check_head = collecting_elsewhere(core.check_head)
    got, copies = [], []

    def visit(_, x):
        got.append(hdf5.read(x, num_threads=4))
        copies.append(hdf5.to_zarr(x, f"{folder}/x.zarr"))

    gc.set_threshold(0)
    leave_garbage(20)
    with h5py.File(f"{folder}/x.h5") as file:
        file.visititems(visit)
        assert gc.isenabled()
    assert [np.array_equal(g, wanted) for g in (*got, copies[0][...])] == [True, True]


main(sys.argv[1])
