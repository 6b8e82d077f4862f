import numpy as np
import pytest

from flaccodec.chunks.options import CodecOptions
from flaccodec.exceptions import ConfigurationError, QuantaError, UnsupportedDtypeError


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
    options = CodecOptions(np.int64(3), np.float32(0.5), None, np.uint16(16))
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
