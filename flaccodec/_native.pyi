# Compiled by cffi from csrc/, which knows no Python types; core.py gives it them.
from typing import Any

ffi: Any
lib: Any
