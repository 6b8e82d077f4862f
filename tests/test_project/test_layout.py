"""The rooms of the package: what import-linter, which ./dev lint runs, does not see."""

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

import flaccodec
from support.paths import ROOT

PACKAGE = Path(flaccodec.__file__).parent  # elsewhere than ROOT, if the wheel is tested
MOST_LINES, MOST_FILES = 500, 14
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
CONTRACT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
LAYERS = [
    [room.strip() for room in layer.split("|")]
    for layer in reversed(CONTRACT["contracts"][0]["layers"])
]
FLOOR = {room: floor for floor, rooms in enumerate(LAYERS) for room in rooms}
OF_OTHERS = {"_filters", "_is_owned", "_group", "_replace", "_getframe"}
"""Of h5py and VirtualiZarr, where there is no public way; and Python's, which are public."""


def room_of(module):
    return module.split(".")[1] if "." in module else None


def imports_of(module):
    """Give the modules of flaccodec that a module imports, wherever in it, and the names."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "flaccodec":
                    yield alias.name, None
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flaccodec":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner, None) if inner in MODULES else (node.module, alias.name)


def is_face(module):
    return MODULES[module].name == "__init__.py"


def on_the_roof(module):
    """Whether a file may import what it likes, as nothing imports it."""
    return module == "flaccodec" or module.endswith(".__main__")


@pytest.mark.parametrize("module", [name for name in MODULES if not on_the_roof(name)])
def test_imports_run_downwards(module):
    """Those for types, and those in functions, too."""
    for other, _ in imports_of(module):
        if other in ("flaccodec", "flaccodec._native"):
            continue
        room, theirs = room_of(module), room_of(other)
        assert room == theirs or FLOOR[theirs] < FLOOR[room], f"{module} imports {other}"


def test_only_core_imports_the_c_library():
    callers = {
        module
        for module in MODULES
        for other, name in imports_of(module)
        if "_native" in (name, other.rpartition(".")[-1])
    }
    assert callers == {"flaccodec.core.native"}


def test_core_is_called_through_its_face():
    """Tests replace its functions there."""
    for module in MODULES:
        for other, _ in imports_of(module):
            inside = other.startswith("flaccodec.core.")
            assert not inside or room_of(module) == "core", f"{module} imports {other}"


def imported_at_once(module):
    """Give what a module imports when it is imported itself."""
    body = [TREES[module]]
    while body:
        node = body.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flaccodec"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        body.extend(ast.iter_child_nodes(node))


def test_no_circle():
    """No module needs itself to be imported, in any number of steps."""
    modules = set(MODULES) - {"flaccodec"}  # core has _native from there, nothing else
    left = {module: set(imported_at_once(module)) & modules for module in modules}
    while free := [m for m, others in left.items() if not others & set(left)]:
        for module in free:
            del left[module]
    assert not left, f"these import each other: {sorted(left)}"


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("module", list(MODULES))
def test_private_names_stay_where_they_are(module):
    for other, name in imports_of(module):
        assert name is None or name == "_native" or not is_private(name), f"{name} of {other}"


@pytest.mark.parametrize("module", list(MODULES))
def test_private_attributes_are_of_what_the_module_defines(module):
    """Names that are bound or declared in the module itself, of any object."""
    tree = TREES[module]
    own = {node.name for node in ast.walk(tree) if hasattr(node, "name") and node.name}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            own |= {target.id for target in targets if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            assert node.attr in own | OF_OTHERS, f"{node.attr}, line {node.lineno}"


def test_sizes_of_files():
    long = {name: n for name, path in MODULES.items() if (n := lines_of(path)) > MOST_LINES}
    assert not long


def lines_of(path):
    return len(path.read_text().splitlines())


def test_sizes_of_folders():
    folders = {path.parent for path in MODULES.values()}
    full = {str(f): n for f in folders if (n := len(list(f.glob("*.py")))) > MOST_FILES}
    assert not full


PUBLIC = {
    "flaccodec": "CorruptChunkError FlacArray FlacCodec FlacCodecError create_array encoding "
    "get_num_threads num_threads set_num_threads",
    "flaccodec.compress": "array_compress",
    "flaccodec.decompress": "array_decompress array_decompress_slice",
    "flaccodec.demo": "create_fake_data plot_data plot_residual",
    "flaccodec.exceptions": "FlacCodecError ConfigurationError UnsupportedDtypeError "
    "EmptyArrayError ChunkTooLargeError QuantaError QuantaTooFineError ChunkMismatchError "
    "CorruptChunkError TruncatedChunkError NotAChunkError UnknownVersionError ChecksumError "
    "FrameError CorruptStreamError EncoderError GroupError NoGroupError UnknownGroupVersionError "
    "CorruptGroupError GroupExistsError RankError add_place",
    "flaccodec.hdf5": "FILTER_ID PLUGIN_PATH Flac VirtualParser create_distributed from_zarr read "
    "read_array read_streams register to_zarr virtual_zarr write write_array write_distributed "
    "write_streams",
    "flaccodec.mpi": "MPI use_mpi distribute_and_verify global_array_properties global_bytes",
    "flaccodec.numcodecs": "Flac",
    "flaccodec.utils": "compressed_dtype ensure_one_element float_to_int int_to_float keep_select "
    "select_keep_indices",
    "flaccodec.zarr": "create_array create_distributed read_array write_array",
    "flaccodec.zarr_pipeline": "FlacCodecPipeline",
}
"""What could be imported, and from where, before there were rooms (894a7c2)."""
NEEDS = {
    "flaccodec": ["zarr"],
    "flaccodec.hdf5": ["h5py", "zarr", "virtualizarr"],
    "flaccodec.mpi": ["mpi4py"],
    "flaccodec.numcodecs": ["numcodecs"],
    "flaccodec.zarr": ["zarr"],
    "flaccodec.zarr_pipeline": ["zarr"],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_where_they_were(module):
    for library in NEEDS.get(module, ()):
        pytest.importorskip(library)
    found = importlib.import_module(module)
    missing = [name for name in PUBLIC[module].split() if not hasattr(found, name)]
    assert not missing
