import os
import resource
import time
from pathlib import Path

import hypothesis
import numpy as np
import pytest

import flaccodec
from support.paths import ROOT

# A shared machine may stop for longer than any deadline.
hypothesis.settings.register_profile(
    "ours", deadline=None, suppress_health_check=list(hypothesis.HealthCheck), max_examples=200
)
hypothesis.settings.register_profile(
    "thorough", parent=hypothesis.settings.get_profile("ours"), max_examples=5000
)
hypothesis.settings.load_profile("ours")

RECORDINGS = ROOT.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def all_processors(monkeypatch):
    """Clusters of dask.distributed leave the variable behind, in this process too."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def pytest_addoption(parser):
    parser.addoption(
        "--make-pictures",
        action="store_true",
        help="have tests/test_docs/test_tutorial.py make the pictures in docs/tutorial/ anew",
    )


def pytest_configure(config):
    # The tests of the wheel must not see the sources.
    if os.environ.get("FLACCODEC_TEST_WHEEL"):
        assert ROOT not in Path(flaccodec.__file__).resolve().parents


@pytest.fixture(params=["seismic_kw1", "ecg_100", "eeg_psg", "geophone_rg16"])
def recording(request):
    path = RECORDINGS / f"{request.param}.npy"
    if not path.exists():
        pytest.skip(f"the recording {path.name} is not beside this checkout")
    return request.param, np.load(path)


@pytest.fixture(
    scope="module",
    params=[
        "zarr.core.codec_pipeline.BatchedCodecPipeline",
        "flaccodec.zarr_pipeline.FlacCodecPipeline",
    ],
    ids=lambda path: path.rpartition(".")[-1],
)
def pipeline(request):
    """Have zarr read with either pipeline."""
    import zarr

    import flaccodec.zarr.pipeline.pipeline  # noqa: F401 - registers it

    with zarr.config.set({"codec_pipeline.path": request.param}):
        yield request.param


@pytest.fixture(autouse=True)
def _default_threads(monkeypatch):
    monkeypatch.delenv("FLACCODEC_NUM_THREADS", raising=False)
    yield
    flaccodec.set_num_threads(None)


@pytest.fixture
def measured():
    """Fail a test that takes 5 seconds or more, or 256 MiB more memory."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    yield
    assert time.monotonic() - start < 5
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 2**28
