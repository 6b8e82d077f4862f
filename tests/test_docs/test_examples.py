"""The scripts in examples/, each run as its reader would run it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import flaccodec
from flaccodec import core
from support.paths import ROOT

pytest_plugins = ["support.servers.nginx"]

EXAMPLES = ROOT / "examples"


def run(name, *arguments, cwd):
    # What an example warns of, its readers would have to wonder about.
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_all_examples_are_tested():
    scripts = {"http_slices.py", "promised_error.py", "sharded.py", "write_and_read.py"}
    demo = {"demo.py", "reader.py"}  # tests/test_docs/test_demo.py
    assert {path.name for path in EXAMPLES.glob("*.py")} == scripts | demo


def test_write_and_read(tmp_path):
    output = run("write_and_read.py", tmp_path / "out", cwd=tmp_path)
    assert "ratio:  3." in output
    assert (tmp_path / "out/recording.zarr/zarr.json").exists()
    run("write_and_read.py", tmp_path / "out", cwd=tmp_path)  # a second time is no error


def test_promised_error(tmp_path):
    output = run("promised_error.py", tmp_path / "out", cwd=tmp_path)
    assert "promised: 0.000500" in output
    assert "1,000 of 1,000" in output


def test_sharded(tmp_path):
    output = run("sharded.py", tmp_path / "out", cwd=tmp_path)
    assert "48 of (4, 10000), in 2 files" in output


@pytest.mark.parametrize("name", ["write_and_read.py", "promised_error.py", "sharded.py"])
def test_temporary_folder_by_default(name, tmp_path, monkeypatch):
    temporary, here = tmp_path / "temporary", tmp_path / "here"
    temporary.mkdir()
    here.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    run(name, cwd=here)
    assert not list(here.iterdir())
    assert len(list(temporary.iterdir())) == 1


SHAPE = (16, 100_000)


@pytest.fixture
def recording(tmp_path):
    """Make a Zarr array with one chunk of 3 MB below tmp_path/www, and give its samples."""
    rng = np.random.default_rng(seed=5)
    samples = rng.integers(-(2**15), 2**15, size=SHAPE, dtype="int32")
    flaccodec.create_array(
        tmp_path / "www/recording.zarr", data=samples, chunks=SHAPE, codecs=[flaccodec.FlacCodec()]
    )
    return samples


def read_slice(server, tmp_path):
    """Run the example; return its output, the slice, and the requests for the chunk."""
    output = run("http_slices.py", f"{server.url}/recording.zarr", tmp_path / "out", cwd=tmp_path)
    chunk_requests = [r for r in server.requests() if r.path == "/recording.zarr/c/0/0"]
    gets = [r for r in chunk_requests if r.method == "GET"]
    assert {r.method for r in chunk_requests} <= {"GET", "HEAD"}  # HEAD asks for its size
    return output, np.load(tmp_path / "out/slice.npy"), gets


def test_http_slices(recording, start_nginx, tmp_path):
    server = start_nginx(tmp_path / "www")
    output, values, requests = read_slice(server, tmp_path)
    assert np.array_equal(values, recording[15, 50_000:50_200])

    chunk = np.fromfile(tmp_path / "www/recording.zarr/c/0/0", dtype=np.uint8)
    header = core.read_header(chunk)
    head, *others = requests
    again, frames = sorted(others, key=lambda request: request.range)
    assert (head.status, again.status, frames.status) == (206, 206, 206)
    # the header once more, beside the frames
    assert again.range == (0, core.HEADER_SIZE)
    # header and index, from the start: no more than they can take
    first, after = head.range
    assert first == 0
    assert header.head_size <= after <= core.head_bound("int32", SHAPE, 4096)
    # one frame of the last stream, cut out exactly
    first, after = frames.range
    entries = chunk[header.sizes_at : header.head_size].view("<u4").reshape(16, -1)
    sizes = entries & core.FRAME_SIZE_MASK
    frame = 50_000 // 4096
    assert after - first == sizes[15, frame]
    assert first == header.chunk_size - sizes[15, frame:].sum()
    # what was sent is what was asked for, and is little
    assert [r.body_bytes_sent for r in requests] == [r.range[1] - r.range[0] for r in requests]
    sent = sum(r.body_bytes_sent for r in requests)
    assert sent < len(chunk) / 100
    assert f"fetched:  {sent:,} bytes of the chunk's {len(chunk):,}" in output


def test_http_slices_from_a_server_without_ranges(recording, start_nginx, tmp_path):
    server = start_nginx(tmp_path / "www", "max_ranges 0;")
    output, values, requests = read_slice(server, tmp_path)
    assert np.array_equal(values, recording[15, 50_000:50_200])

    size = (tmp_path / "www/recording.zarr/c/0/0").stat().st_size
    (request,) = requests
    assert request.range is not None
    assert (request.status, request.body_bytes_sent) == (200, size)
    assert "does the server know range requests?" in output


def test_http_slices_of_an_array_that_is_not_there(start_nginx, tmp_path):
    (tmp_path / "www").mkdir()
    server = start_nginx(tmp_path / "www")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "http_slices.py", f"{server.url}/nothing.zarr"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert f"{server.url}/nothing.zarr" in done.stderr


def test_nginx_that_is_not_installed(start_nginx, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *args, **kwargs: None)
    with pytest.raises(pytest.fail.Exception, match="apt-get install nginx-light"):
        start_nginx(tmp_path)
