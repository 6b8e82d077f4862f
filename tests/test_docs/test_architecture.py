"""docs/architecture.md is true: its picture, the files and functions that it names, its links."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import flaccodec
from support.paths import ROOT

PACKAGE = Path(flaccodec.__file__).parent  # elsewhere than ROOT, if the wheel is tested
DOCS = ROOT / "docs"
PAGE = (DOCS / "architecture.md").read_text()
PLACES = sorted(set(re.findall(r"`([\w/]+\.(?:py|c|h)): ([\w.]+)`", PAGE)))


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("maker", DOCS / "make_architecture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- the picture ---------------------------------------------------------------------------


def test_the_picture_is_that_of_the_code(maker):
    made = maker.picture(PACKAGE, ROOT / "csrc")
    kept = (DOCS / "architecture.svg").read_text()
    assert made == kept, "run python docs/make_architecture.py"


def test_lines_are_those_of_imports(maker, tmp_path):
    package = tmp_path / "house"
    files = {
        "__init__.py": "from house.top import a",
        "top/__init__.py": "def f():\n    from house.middle.deep import x",
        "top/__main__.py": "import house.side",
        "middle/deep.py": "if TYPE_CHECKING:\n    import zarr\nelse:\n    from house import ground",
        "side.py": "import os, numpy, h5py\nfrom house import _native, ground\nimport house.middle",
        "ground.py": "",
    }
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    knows, libraries = maker.python_rooms(package)
    assert knows == {
        "top": {"middle"},
        "middle": {"ground"},
        "side": {"middle", "ground"},
        "ground": set(),
    }
    assert libraries["side"] == {"h5py", "csrc/flaccodec.h"}
    assert not libraries["middle"]
    assert maker.shortened(knows)["side"] == {"middle"}
    assert maker.floors(knows) == {"ground": 0, "middle": 1, "top": 2, "side": 2}


def test_rooms_in_a_circle_have_no_picture(maker):
    with pytest.raises(ValueError, match="in a circle"):
        maker.floors({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_lines_of_c_are_those_of_includes_and_of_calls_by_the_header(maker, tmp_path):
    files = {
        "flaccodec.h": "int fc_do(int x);",
        "base/a.h": "/* #include <FLAC/all.h> */",
        "top/b.c": '#include "base/a.h"\n#include <FLAC/all.h>\nint fc_do(int x) {\n}',
        "user/c.c": '#include "flaccodec.h"\nint main(void) { return fc_do(1); }',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    knows, libraries = maker.c_rooms(tmp_path)
    assert knows == {
        "base": set(),
        "top": {"base"},
        "user": {"flaccodec.h"},
        "flaccodec.h": {"top"},
    }
    assert {room for room, names in libraries.items() if names} == {"top"}


def test_boxes_and_lines_keep_apart(maker):
    """No two boxes share a place, and lines that pass a floor pass beside its boxes."""
    for knows, _ in (maker.python_rooms(PACKAGE), maker.c_rooms(ROOT / "csrc")):
        lines = maker.shortened(knows)
        boxes, ways = maker.placed(lines)
        assert ways.keys() == {(room, other) for room in lines for other in lines[room]}
        taken = [*boxes.values(), *(place for way in ways.values() for place in way[1:-1])]
        for i, (x, floor) in enumerate(taken):
            assert all(abs(x - x2) > 0.99 for x2, floor2 in taken[:i] if floor2 == floor)


# -- the page ------------------------------------------------------------------------------


def defined_in_python(path):
    """Return the names that a module defines, those of classes as Class.name."""

    def names(body, prefix=""):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield prefix + node.name
                if isinstance(node, ast.ClassDef):
                    yield from names(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (prefix + t.id for t in targets if isinstance(t, ast.Name))

    return set(names(ast.parse(path.read_text()).body))


def defined_in_c(path):
    """Return the functions that a file defines, and the types of a header."""
    text = re.sub(r"/\*.*?\*/", " ", path.read_text(), flags=re.DOTALL)
    functions = re.findall(r"^\w[\w \t*]*\b(\w+)\([^;{}]*\)\s*\{", text, flags=re.MULTILINE)
    made = re.findall(r"^FOR_EACH_CPU\(\w+, (\w+)", text, flags=re.MULTILINE)  # as in block.c
    types = re.findall(r"^typedef (?:struct|enum) (\w+) \{", text, flags=re.MULTILINE)
    return {*functions, *made, *types}


def file_of(name):
    room, _, rest = name.partition("/")
    return PACKAGE / rest if room == "flaccodec" else ROOT / name


@pytest.mark.parametrize(("file", "name"), PLACES, ids=lambda value: value.replace("/", "."))
def test_each_function_on_the_page_is_there(file, name):
    path = file_of(file)
    defined = defined_in_python(path) if path.suffix == ".py" else defined_in_c(path)
    assert name in defined


def test_places_are_found_by_their_form():
    assert len(PLACES) > 50
    assert {file.partition("/")[0] for file, _ in PLACES} == {"flaccodec", "csrc"}
    other = re.findall(r"`(?:flaccodec|csrc)/[^`]*\.\w+: [^`]*`", PAGE)
    assert len(set(other)) == len(PLACES)  # none is written in another form


@pytest.mark.parametrize("title", ["An array into a chunk", "A slice out of a chunk"])
def test_each_way_has_ten_steps(title):
    (section,) = re.findall(rf"^## {title}\n(.*?)^## ", PAGE, flags=re.MULTILINE | re.DOTALL)
    steps = re.findall(r"^(\d+)\. (.*(?:\n   .*)*)", section, flags=re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, 11))
    assert all(re.search(r"`[\w/]+\.\w+: \w", step) for _, step in steps)


def test_each_room_is_in_a_table(maker):
    tables = "\n".join(re.findall(r"^\| `[^|]*\|", PAGE, flags=re.MULTILINE))
    named = set(re.findall(r"`(\w+)(?:/|\.py)`", tables))
    python, _ = maker.python_rooms(PACKAGE)
    c, _ = maker.c_rooms(ROOT / "csrc")
    assert named == (python.keys() | c.keys()) - {maker.HEADER}


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_what_is_linked_to_is_there(name):
    page = ROOT / name
    for target in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_each_page_is_found_from_the_others():
    contributing, readme = ((ROOT / f"{n}.md").read_text() for n in ("CONTRIBUTING", "README"))
    assert "(../CONTRIBUTING.md)" in PAGE
    assert "(docs/architecture.md)" in contributing
    assert "(docs/architecture.md)" in readme
    assert "(CONTRIBUTING.md)" in readme
