"""Chunks in another process: one chooses its encoder, decoder and vectors when it starts."""

import os
import pickle
import subprocess
import sys

from flaccodec import core
from flaccodec.exceptions import FlacCodecError


class OtherProcess:
    """A process with other environment variables that encodes and decodes chunks in turn."""

    def __init__(self, **environment):
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | environment,
        )

    def decode(self, chunk):
        """Return what decode_chunk returns there, or raise what it raises."""
        return self._ask("decode_chunk", bytes(chunk))

    def encode(self, array, **options):
        """Return what encode_chunk returns there, or raise what it raises."""
        return self._ask("encode_chunk", array, **options)

    def _ask(self, function, *args, **kwargs):
        pickle.dump((function, args, kwargs), self._process.stdin)
        self._process.stdin.flush()
        result = pickle.load(self._process.stdout)
        if isinstance(result, FlacCodecError):
            raise result
        return result

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait() == 0


def answer(function, args, kwargs):
    try:
        return getattr(core, function)(*args, **kwargs)
    except FlacCodecError as error:
        return error


def main():
    while True:
        try:
            question = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(answer(*question), sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
