"""Chunks decoded in another process with libFLAC forced: a process chooses its decoder once."""

import os
import pickle
import subprocess
import sys

from flaccodec.core import decode_chunk
from flaccodec.exceptions import FlacCodecError


class OtherDecoder:
    """A process that decodes chunks one after the other."""

    def __init__(self, decoder="libflac"):
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"FLACCODEC_DECODER": decoder},
        )

    def decode(self, chunk):
        """Return what decode_chunk returns there, or raise what it raises."""
        pickle.dump(bytes(chunk), self._process.stdin)
        self._process.stdin.flush()
        result = pickle.load(self._process.stdout)
        if isinstance(result, FlacCodecError):
            raise result
        return result

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait() == 0


def answer(chunk):
    try:
        return decode_chunk(chunk)
    except FlacCodecError as error:
        return error


def main():
    while True:
        try:
            chunk = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(answer(chunk), sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
