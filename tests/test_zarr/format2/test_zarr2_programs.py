"""SpikeInterface and hdmf-zarr, which need zarr 2: ``./dev versions zarr2`` installs them."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
import zarr

if not zarr.__version__.startswith("2."):
    pytest.skip("zarr 3 is here: ./dev versions zarr2 runs these", allow_module_level=True)

import spikeinterface.core as si
from hdmf_zarr import NWBZarrIO, ZarrDataIO
from pynwb import NWBFile, TimeSeries

from flaccodec.numcodecs import Flac

RATE = 30_000.0
QUIET = {"verbose": False, "progress_bar": False}


def traces(samples, channels, seed=0):
    steps = np.random.default_rng(seed).integers(-20, 21, (samples, channels))
    return np.cumsum(steps, axis=0).astype("int16")


def codec_of(folder, name):
    """Return what the array's metadata, as any program reads it, say of its codec."""
    return json.loads((folder / name / ".zarray").read_text())["compressor"]


def in_another_process(program, *arguments):
    """Return what a program prints that does not import flaccodec."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


# -- SpikeInterface ------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"channel_chunk_size": 4}, {"n_jobs": 2}], ids=str)
def test_a_recording_of_spikeinterface(tmp_path, options):
    segments = [traces(60_000, 6), traces(20_001, 6, seed=1)]
    recording = si.NumpyRecording(segments, sampling_frequency=RATE)
    folder = tmp_path / "recording.zarr"
    recording.save(format="zarr", folder=folder, compressor=Flac(level=7), **QUIET, **options)
    again = si.load(folder)
    for number, expected in enumerate(segments):
        assert codec_of(folder, f"traces_seg{number}") == Flac(level=7).get_config()
        got = again.get_traces(segment_index=number)
        assert got.dtype == np.int16
        np.testing.assert_array_equal(got, expected)
        part = again.get_traces(segment_index=number, start_frame=17_000, end_frame=17_050)
        np.testing.assert_array_equal(part, expected[17_000:17_050])


@pytest.mark.filterwarnings("ignore:Setting times:UserWarning")  # as it loads them, too
def test_times_of_spikeinterface_are_exact(tmp_path):
    """They are written with the same codec, and quanta would round them."""
    volts = traces(40_000, 3) * np.float32(0.195)
    times = np.cumsum(np.random.default_rng(2).exponential(1 / RATE, len(volts)))
    recording = si.NumpyRecording([volts], sampling_frequency=RATE)
    recording.set_times(times, segment_index=0)
    codecs = {"traces": Flac(quanta=0.195), "times": Flac()}
    folder = tmp_path / "recording.zarr"
    recording.save(format="zarr", folder=folder, compressor_by_dataset=codecs, **QUIET)
    again = si.load(folder)
    assert codec_of(folder, "traces_seg0") == codecs["traces"].get_config()
    assert codec_of(folder, "times_seg0") == codecs["times"].get_config()
    np.testing.assert_allclose(again.get_traces(), volts, rtol=0, atol=0.0976)
    np.testing.assert_array_equal(again.get_times(segment_index=0), times)


def test_another_process_loads_a_recording(tmp_path):
    expected = traces(30_000, 2)
    recording = si.NumpyRecording([expected], sampling_frequency=RATE)
    folder = tmp_path / "recording.zarr"
    recording.save(format="zarr", folder=folder, compressor=Flac(), **QUIET)
    program = """
import sys
import spikeinterface.core as si
print(si.load(sys.argv[1]).get_traces(start_frame=29_990).tolist())
"""
    assert in_another_process(program, folder).strip() == str(expected[29_990:].tolist())


# -- hdmf-zarr -----------------------------------------------------------------------------


def test_a_time_series_of_hdmf_zarr(tmp_path):
    expected = traces(60_000, 4)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    session = NWBFile(session_description="s", identifier="i", session_start_time=start)
    data = ZarrDataIO(expected, chunks=(25_000, 4), compressor=Flac(level=7))
    session.add_acquisition(TimeSeries(name="x", data=data, unit="V", rate=RATE))
    folder = tmp_path / "session.nwb.zarr"
    with NWBZarrIO(str(folder), mode="w") as io:
        io.write(session)
    assert codec_of(folder, "acquisition/x/data") == Flac(level=7).get_config()
    with NWBZarrIO(str(folder), mode="r") as io:
        got = io.read().acquisition["x"].data
        np.testing.assert_array_equal(got[...], expected)
        np.testing.assert_array_equal(got[24_990:25_010, 1], expected[24_990:25_010, 1])
    program = """
import sys
from hdmf_zarr import NWBZarrIO
with NWBZarrIO(sys.argv[1], mode="r") as io:
    print(io.read().acquisition["x"].data[59_995:].tolist())
"""
    assert in_another_process(program, folder).strip() == str(expected[59_995:].tolist())
