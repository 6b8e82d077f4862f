"""The rooms of csrc/: which may know which, and how large they may be."""

import re

import pytest

from support.sources import CSRC, core_sources, hdf5_sources, headers

ROOMS = [
    ["base"],
    ["threads"],
    ["flac"],
    ["simd"],
    ["decode", "encode"],
    ["samples"],
    ["plan"],
    ["convert"],
    ["chunk"],
    ["hdf5"],
]
"""From the ground up. A room includes and calls its own files and those of lines above."""

FLOOR = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
FILES = [*core_sources(), *hdf5_sources(), *headers()]
PUBLIC = CSRC / "flaccodec.h"
NAME = r"\bfc_\w+(?=\s*\()"


def room_of(path):
    return path.relative_to(CSRC).parts[0]


def code_of(path):
    """Return a file without its comments and texts."""
    text = re.sub(r"/\*.*?\*/", " ", path.read_text(), flags=re.DOTALL)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def may_know(room, other):
    return room == other or FLOOR[other] < FLOOR[room]


def faults_of_includes(path, text):
    """Return the includes of a file, with this text, that its room may not have."""
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, flags=re.MULTILINE):
        if name == "flaccodec.h":
            continue
        included = CSRC / name
        if not included.is_file() or not may_know(room_of(path), room_of(included)):
            yield name


def definitions():
    """Return the room of each function of several files, by its name.

    Those that are compiled for several processors are defined by a macro of block.c.
    """
    found = {}
    for path in FILES:
        if path == PUBLIC:
            continue
        code = code_of(path)
        for name in re.findall(rf"^[A-Za-z_][\w \t*]*?({NAME})[^;{{}}]*\{{", code, re.MULTILINE):
            found.setdefault(name, set()).add(room_of(path))
        for name in re.findall(r"^FOR_EACH_CPU\(\w+, (fc_\w+)", code, re.MULTILINE):
            found.setdefault(name, set()).add(room_of(path))
    return found


def faults_of_calls(path, code, rooms):
    """Return the functions that a file calls, or hands on, of rooms that it may not know."""
    for name in sorted(set(re.findall(r"\bfc_\w+\b", code)) & rooms.keys()):
        if not any(may_know(room_of(path), room) for room in rooms[name]):
            yield name


@pytest.mark.parametrize(
    "path", [path for path in FILES if path != PUBLIC], ids=lambda p: str(p.relative_to(CSRC))
)
def test_includes_and_calls_run_down(path):
    assert not list(faults_of_includes(path, path.read_text()))
    assert not list(faults_of_calls(path, code_of(path), definitions()))


def test_all_rooms_are_in_the_table():
    folders = {path.name for path in CSRC.iterdir() if path.is_dir()}
    assert folders == FLOOR.keys()
    assert [path.name for path in CSRC.iterdir() if path.is_file()] == ["flaccodec.h"]


def test_functions_have_one_home():
    rooms = definitions()
    assert {name: found for name, found in rooms.items() if len(found) > 1} == {}
    declared = set(re.findall(NAME, "\n".join(map(code_of, headers())))) - macros()
    missing = {name for name in declared if name not in rooms}
    assert not missing


def macros():
    text = "\n".join(path.read_text() for path in FILES)
    return set(re.findall(r"^#define (fc_\w+)", text, re.MULTILINE)) | macro_made(text)


def macro_made(text):
    """Return the names that a macro puts together, such as fc_put##bits()."""
    stems = set(re.findall(r"\b(fc_\w+?)##", text))
    names = set(re.findall(NAME, text))
    return {name for name in names if any(name.startswith(stem) for stem in stems)}


def test_the_rules_find_what_breaks_them():
    rooms = definitions()
    lower, upper = CSRC / "flac" / "frame.c", CSRC / "chunk" / "scan.c"
    side = CSRC / "encode" / "rice.c"
    assert list(faults_of_includes(lower, '#include "chunk/format.h"\n')) == ["chunk/format.h"]
    assert list(faults_of_includes(lower, '#include "frame.h"\n')) == ["frame.h"]
    assert not list(faults_of_includes(upper, '#include "flac/frame.h"\n#include "flaccodec.h"\n'))
    assert list(faults_of_calls(lower, "x = fc_scan_streams(e, error);", rooms))
    assert list(faults_of_calls(side, "fc_run(fc_decode_frames_fast, 1);", rooms))
    assert not list(faults_of_calls(upper, "fc_frame_bound(1, 2, 3);", rooms))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(CSRC)))
def test_no_file_is_too_long(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 500
    assert not [line for line in lines if len(line) > 100]


@pytest.mark.parametrize("room", FLOOR)
def test_no_room_is_too_full(room):
    assert len(list((CSRC / room).iterdir())) <= 14
