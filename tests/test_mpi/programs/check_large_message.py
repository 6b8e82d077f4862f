"""A message of more than 2 GiB, which MPI's counts of 32 bits cannot express. On two ranks."""

import numpy as np
from ranks import COMM, RANK, run

from flaccodec.mpi import messages as mpi_messages

WORDS = 2**28 + 1001
PART = 2**24


def check_a_message_of_more_than_2_gib():
    if RANK == 0:
        mpi_messages.send(COMM, np.arange(WORDS, dtype=np.uint64), 1)
        return
    got = np.zeros(WORDS, dtype=np.uint64)
    assert got.nbytes > 2**31
    mpi_messages.receive(COMM, got, 0)
    for start in range(0, WORDS, PART):
        part = got[start : start + PART]
        np.testing.assert_array_equal(part, np.arange(start, start + len(part), dtype=np.uint64))


if __name__ == "__main__":
    run(check_a_message_of_more_than_2_gib)
