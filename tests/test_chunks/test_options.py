import copy
import inspect
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass, fields

import numcodecs
import numpy as np
import pytest

import flaccodec
import flaccodec.numcodecs
from flaccodec import FlacArray, FlacCodec, hdf5
from flaccodec.chunks.options import CodecOptions, Options, option
from flaccodec.exceptions import ConfigurationError, QuantaError, UnsupportedDtypeError
from flaccodec.hdf5 import filter as hdf5_filter


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": 9}, ConfigurationError, r"level must be an integer from 0 to 8\. Got 9"),
        ({"level": -1}, ConfigurationError, "from 0 to 8"),
        ({"level": 5.0}, ConfigurationError, "from 0 to 8"),
        ({"level": True}, ConfigurationError, "from 0 to 8"),
        ({"level": None}, ConfigurationError, "from 0 to 8"),
        ({"quanta": 0}, QuantaError, r"positive finite number\. Got 0"),
        ({"quanta": -1.0}, QuantaError, "positive finite"),
        ({"quanta": np.nan}, QuantaError, "positive finite"),
        ({"quanta": np.inf}, QuantaError, "positive finite"),
        ({"quanta": "1"}, QuantaError, "positive finite"),
        ({"quanta": True}, QuantaError, "positive finite"),
        ({"quanta": 10**400}, QuantaError, "positive finite"),
        ({"precision": np.nan}, ConfigurationError, "decimal digits"),
        ({"precision": "3"}, ConfigurationError, "decimal digits"),
        ({"precision": 400}, ConfigurationError, "from -308 to 308"),
        ({"quanta": 1, "precision": 1}, ConfigurationError, "not both"),
        ({"frame_size": 15}, ConfigurationError, "from 16 to 65535"),
        ({"frame_size": 65536}, ConfigurationError, "from 16 to 65535"),
    ],
)
def test_values_out_of_range_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        CodecOptions(**options)


def test_numbers_become_those_of_json():
    options = CodecOptions(level=np.int64(3), quanta=np.float32(0.5), frame_size=np.uint16(16))
    assert options.to_dict() == {"level": 3, "quanta": 0.5, "precision": None, "frame_size": 16}
    assert [type(v) for v in options.to_dict().values()] == [int, float, type(None), int]
    assert repr(CodecOptions(precision=4.0).precision) == "4"


@pytest.mark.parametrize("dtype", ["int8", ">u4", "int64"])
@pytest.mark.parametrize("options", [{"quanta": 0.1}, {"precision": 3}])
def test_integers_take_no_quanta(dtype, options):
    with pytest.raises(ConfigurationError, match="integers are stored exactly"):
        CodecOptions(**options).check_dtype(dtype)


def test_dtypes_are_checked():
    CodecOptions(quanta=1).check_dtype(">f4")
    with pytest.raises(UnsupportedDtypeError):
        CodecOptions().check_dtype("float16")


# -- each option is stated once --------------------------------------------------------------

VALUES = {  # of each option, one that is not its default
    "level": 7,
    "quanta": 0.5,
    "precision": 3,
    "frame_size": 640,
    "missing_value": (-1.0, 7.5),
    "strict": True,
}
STORED = VALUES.keys() - {"strict"}

TAKERS = {  # who takes options, which not, and which with other defaults
    FlacCodec: ((), {}),
    flaccodec.numcodecs.Flac: ((), {}),
    flaccodec.encoding: ((), {}),
    hdf5.Flac: ({"strict"}, {"frame_size": None}),
}

MADE = {
    "FlacCodec": lambda given: FlacCodec(**given).options,
    "numcodecs.Flac": lambda given: flaccodec.numcodecs.Flac(**given).options,
    "encoding": lambda given: flaccodec.encoding(**given)["serializer"].options,
    "hdf5.Flac": lambda given: hdf5.Flac(**given).options,
    "encoding for HDF5": lambda given: (
        flaccodec.encoding(engine="h5netcdf", **given)["compression"].options
    ),
}


def test_there_is_a_value_for_each_option():
    assert [option.name for option in fields(Options)] == list(VALUES)
    assert all(option.default != VALUES[option.name] for option in fields(Options))


@pytest.mark.parametrize("taker", TAKERS)
def test_signatures_have_each_option(taker):
    without, otherwise = TAKERS[taker]
    defaults = {option.name: option.default for option in fields(Options)} | otherwise
    parameters = inspect.signature(taker).parameters
    assert {n: parameters[n].default for n in defaults if n in parameters} == {
        name: default for name, default in defaults.items() if name not in without
    }


def test_options_are_given_by_name_or_by_position_as_ever():
    kinds = {taker: inspect.signature(taker).parameters.values() for taker in TAKERS}
    by_name = inspect.Parameter.KEYWORD_ONLY
    assert {p.kind for p in kinds[FlacCodec]} == {by_name}
    assert [p.name for p in kinds[flaccodec.encoding] if p.kind is not by_name] == ["variable"]
    for codec in (flaccodec.numcodecs.Flac, hdf5.Flac):
        by_position = [p.name for p in kinds[codec] if p.kind is not by_name]
        assert by_position == [p.name for p in fields(Options) if p.name in by_position]
        assert codec(3, 0.5, None, 640, 7.0).options == CodecOptions(
            level=3, quanta=0.5, frame_size=640, missing_value=7.0
        )


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("name", VALUES)
def test_each_option_reaches_the_codec(made, name):
    given = {name: VALUES[name]}
    if name == "strict" and "HDF5" in made:
        with pytest.raises(ConfigurationError, match="strict is for engine 'zarr'"):
            MADE[made](given)
    elif name == "strict" and made == "hdf5.Flac":
        with pytest.raises(TypeError, match="unexpected keyword argument 'strict'"):
            MADE[made](given)
    else:
        assert getattr(MADE[made](given), name) == VALUES[name]


@pytest.mark.parametrize("name", VALUES)
def test_each_option_is_carried_along(name):
    given = {name: VALUES[name]}
    for codec in (FlacCodec(**given), flaccodec.numcodecs.Flac(**given)):
        for other in (pickle.loads(pickle.dumps(codec)), copy.deepcopy(codec)):
            assert getattr(other, name) == VALUES[name]
            assert repr(other) == repr(codec)
            assert other == codec
        assert name in repr(codec)
        assert (codec != type(codec)()) == (name in STORED)


@pytest.mark.parametrize("name", sorted(STORED))
def test_each_stored_option_is_in_all_metadata(name):
    options = CodecOptions(**{name: VALUES[name]})
    codec, filtered = FlacCodec(**vars(options)), hdf5.Flac(**options.to_dict())
    assert FlacCodec.from_dict(codec.to_dict()).options == options
    config = flaccodec.numcodecs.Flac(**vars(options)).get_config()
    assert numcodecs.get_codec(config).options == options
    again = pickle.loads(pickle.dumps(filtered))
    assert (again, again.options) == (filtered, options)
    assert filtered != hdf5.Flac()
    given, beyond_users = filtered.filter_options, [0] * 5
    values = [*given[:6], *beyond_users, *hdf5_filter._words(0.0), *given[6:]]
    assert hdf5_filter.read_client_data(values) == options


def test_a_new_option_is_one_field():
    def check(value):
        if value not in (0, -1):
            raise ConfigurationError(f"axis must be 0 or -1. Got {value!r}.")
        return int(value)

    @dataclass(frozen=True, repr=False, kw_only=True)
    class Later(CodecOptions):
        axis: int = option(-1, check, rare=True)

    @dataclass(frozen=True, repr=False, kw_only=True)
    class LaterCodec(FlacCodec):
        axis: int = option(-1, check, rare=True)

    assert inspect.signature(LaterCodec).parameters["axis"].default == -1
    assert LaterCodec(axis=0) != LaterCodec()
    assert Later.among(vars(LaterCodec(axis=0, level=3))) == Later(axis=0, level=3)
    assert Later().to_dict() == CodecOptions().to_dict()  # what was written before stays as it is
    assert Later(axis=np.int64(0)).to_dict() == {**CodecOptions().to_dict(), "axis": 0}
    assert Later(axis=0).arguments().endswith("frame_size=4096, axis=0")
    assert Later.from_json({"axis": 0.0}, "it") == Later(axis=0) != Later()
    for make in (lambda: LaterCodec(axis=1), lambda: Later.from_json({"axis": 1}, "it")):
        with pytest.raises(ConfigurationError, match="axis must be 0 or -1"):
            make()


# -- and explained once ----------------------------------------------------------------------


def entries(documented):
    """The names of what a docstring explains, each with its type and text."""
    section = inspect.getdoc(documented).split("Parameters\n----------\n")[1].split("\n\n")[0]
    return dict(re.findall(r"^(\w[\w, ]*) : (.+\n(?:    .+\n?)+)", section, re.M))


def test_defaults_are_explained():
    explained = entries(Options)
    assert list(explained) == list(VALUES)
    for one in fields(Options):
        default = "optional" if one.default is None else f"default {one.default!r}"
        assert explained[one.name].split("\n")[0].endswith(f", {default}")


@pytest.mark.parametrize("taker", [*TAKERS, FlacArray.from_array])
def test_docstrings_explain_each_option_by_the_same_words(taker):
    explained, texts = entries(taker), entries(Options)
    assert explained.keys() == inspect.signature(taker).parameters.keys()
    own = {"quanta", "precision"} if taker == FlacArray.from_array else set()
    for name in explained.keys() & texts.keys() - own:
        assert explained[name].rstrip() == texts[name].rstrip()


def test_there_need_be_no_docstrings():
    program = (
        "import flaccodec, flaccodec.numcodecs; from flaccodec import hdf5\n"
        "print(flaccodec.FlacCodec(level=3), flaccodec.numcodecs.Flac(3), hdf5.Flac(3))"
    )
    done = subprocess.run(
        [sys.executable, "-OO", "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("level=3") == 3
