"""Draw docs/architecture.svg, the rooms and who knows whom, from the sources themselves.

    python docs/make_architecture.py

Python's lines are the import statements, C's the ``#include`` lines, and the functions of
csrc/flaccodec.h, the public header: who has them and who calls them. A line is left out if a longer
way says the same. Below a room's name are the libraries that it uses. Nothing is placed by hand.
"""

from __future__ import annotations

import ast
import html
import re
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"

Graph = dict[str, set[str]]
"""For each room those that it knows."""

Place = tuple[float, int]
"""Of a box: where along its floor, and the number of the floor, from the ground up."""

HEADER = "flaccodec.h"
"""The way into C: Python's room that imports `_native` comes in by it, and so does C's own hdf5."""

# -- what the sources say ----------------------------------------------------------------


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _imports(node: ast.AST) -> Iterator[str]:
    """Return the names that a module imports, but not those for type checkers alone."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    inside = node.orelse if isinstance(node, ast.If) and _is_type_checking(node) else None
    for child in ast.iter_child_nodes(node) if inside is None else inside:
        yield from _imports(child)


def python_rooms(package: Path) -> tuple[Graph, Graph]:
    """Return which rooms of a package each one imports, and which other libraries."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        modules[".".join(parts).removesuffix(".__init__")] = path
    rooms = {name.split(".")[1] for name in modules if "." in name}
    knows: Graph = {room: set() for room in sorted(rooms)}
    libraries: Graph = {room: set() for room in knows}
    for module, path in modules.items():
        if module == package.name or module.endswith(".__main__"):
            continue  # these stand on the roof: they may import from any room
        room = module.split(".")[1]
        for name in _imports(ast.parse(path.read_text())):
            top, _, rest = name.partition(".")
            other = rest.split(".")[0]
            if name == f"{package.name}._native":
                libraries[room].add(f"csrc/{HEADER}")
            elif top == package.name and other in rooms - {room}:
                knows[room].add(other)
            elif top != package.name and top not in {*sys.stdlib_module_names, "numpy"}:
                libraries[room].add(top)
    return knows, libraries


def _reached(knows: Graph, room: str) -> set[str]:
    return {room}.union(*(_reached(knows, other) for other in knows[room]))


def _code(path: Path) -> str:
    return re.sub(r"/\*.*?\*/", " ", path.read_text(), flags=re.DOTALL)


def c_rooms(csrc: Path) -> tuple[Graph, Graph]:
    """Return which rooms of csrc/ each one knows, and which libraries it includes.

    The public header is drawn as a room. It knows the rooms that define its functions. A room
    that none of these needs comes in by the header, if it calls them.
    """
    public = set(re.findall(r"\b(fc_\w+)\(", _code(csrc / HEADER)))
    files = {path: _code(path) for path in sorted(csrc.glob("*/*.[ch]"))}
    knows: Graph = {path.parent.name: set() for path in files}
    libraries: Graph = {room: set() for room in [HEADER, *knows]}
    home = {}
    for path, code in files.items():
        room = path.parent.name
        includes = re.findall(r'^\s*#\s*include [<"](\w+)', code, flags=re.MULTILINE)
        knows[room] |= set(includes) & (knows.keys() - {room})
        libraries[room] |= {"libFLAC"} & {f"lib{name}" for name in includes}
        for name in re.findall(r"^\w[\w \t*]*\b(fc_\w+)\([^;{}]*\{", code, flags=re.MULTILINE):
            if name in public:
                home[name] = room
    below = set().union(*(_reached(knows, room) for room in home.values()))
    for path, code in files.items():
        room = path.parent.name
        called = {home[name] for name in set(re.findall(r"\bfc_\w+\b", code)) & public}
        knows[room] |= called - {room} if room in below else {HEADER} if called else set()
    return {**knows, HEADER: set(home.values())}, libraries


# -- where the boxes are ------------------------------------------------------------------


def floors(knows: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Return the floor of each room: one above the highest of those that it knows."""
    found: dict[str, int] = {}

    def floor(room: str, callers: tuple[str, ...] = ()) -> int:
        if room in callers:
            raise ValueError(f"rooms know each other in a circle: {' -> '.join((*callers, room))}")
        if room not in found:
            found[room] = 1 + max((floor(o, (*callers, room)) for o in knows[room]), default=-1)
        return found[room]

    for room in knows:
        floor(room)
    return found


def shortened(knows: Graph) -> Graph:
    """Return the graph without the lines that a longer way says too."""
    return {
        room: {
            other
            for other in others
            if not any(other in _reached(knows, o) for o in others - {other})
        }
        for room, others in knows.items()
    }


def _spread(wanted: dict[str, float]) -> dict[str, float]:
    """Return the places along a floor, as wanted but at least 1 apart."""
    order = sorted(wanted, key=lambda name: (wanted[name], name))
    groups: list[tuple[float, list[str]]] = []  # a centre, and boxes side by side around it
    for name in order:
        groups.append((wanted[name], [name]))
        while len(groups) > 1:
            (a, left), (b, right) = groups[-2:]
            if b - a >= (len(left) + len(right)) / 2:
                break
            n = len(left) + len(right)
            mean = sum(wanted[x] - i for i, x in enumerate([*left, *right])) / n + (n - 1) / 2
            groups[-2:] = [(mean, [*left, *right])]
    return {
        name: round(centre - (len(names) - 1) / 2 + i, 3)
        for centre, names in groups
        for i, name in enumerate(names)
    }


def placed(lines: Graph) -> tuple[dict[str, Place], dict[tuple[str, str], list[Place]]]:
    """Return the place of each room, and the places that each line goes by.

    A line that passes floors has a place on each of them, as a box would have, so that it runs
    beside the boxes there. Places follow those of their neighbours above and below.
    """
    floor = floors(lines)
    nodes = dict(floor)
    ways = {}
    for room, others in lines.items():
        for other in sorted(others):
            between = {f"{room}>{other}>{n}": n for n in range(floor[room] - 1, floor[other], -1)}
            nodes |= between
            ways[room, other] = [room, *between, other]
    near: dict[str, list[str]] = {name: [] for name in nodes}
    for way in ways.values():
        for a, b in pairwise(way):
            near[a].append(b)
            near[b].append(a)
    rows = [[n for n in sorted(nodes) if nodes[n] == k] for k in range(max(nodes.values()) + 1)]
    at = {name: float(i) for row in rows for i, name in enumerate(row)}
    for turn in range(60):
        for row in rows if turn % 2 else rows[::-1]:
            wanted = {n: sum(at[o] for o in near[n]) / len(near[n]) if near[n] else 0 for n in row}
            at |= _spread(wanted)
    left = min(at.values())
    where = {name: (at[name] - left, nodes[name]) for name in nodes}
    return {room: where[room] for room in lines}, {
        ends: [where[name] for name in way] for ends, way in ways.items()
    }


# -- drawing ------------------------------------------------------------------------------

BOX, LINE, WIDE, FLOOR, MARGIN, TOP = 136, 12, 152, 92, 24, 56


def _house(
    title: str, knows: Graph, libraries: Graph, left: float, ground: float, colour: str
) -> tuple[list[str], float]:
    """Return a house in SVG, and how wide it is."""
    places, ways = placed(shortened(knows))
    across = max(x for way in ways.values() for x, _ in way) * WIDE + BOX
    small = {r: textwrap.wrap(", ".join(sorted(libraries[r])), 26) for r in places}
    high = {place: 28 + LINE * len(small[room]) for room, place in places.items()}

    def centre(place: Place) -> tuple[float, float]:
        return left + place[0] * WIDE + BOX / 2, ground - place[1] * FLOOR - 20

    svg = [f'<text x="{left + across / 2:.0f}" y="30" class="title">{html.escape(title)}</text>']
    for way in ways.values():
        path = ""
        for upper, lower in pairwise(way):
            (x0, y0), (x1, y1) = centre(upper), centre(lower)
            y0, y1 = y0 + high.get(upper, 40) / 2, y1 - high.get(lower, 40) / 2
            half = (y0 + y1) / 2
            path += f"{'L' if path else 'M'}{x0:.0f} {y0:.0f}"
            path += f"C{x0:.0f} {half:.0f} {x1:.0f} {half:.0f} {x1:.0f} {y1:.0f}"
        svg.append(f'<path d="{path}" class="line"/>')
    for room, place in sorted(places.items()):
        x, y = centre(place)
        top = y - high[place] / 2
        svg.append(
            f'<rect x="{x - BOX / 2:.0f}" y="{top:.0f}" width="{BOX}" height="{high[place]}" '
            f'rx="5" fill="{colour}"/>'
        )
        svg.append(f'<text x="{x:.0f}" y="{top + 19:.0f}" class="room">{room}</text>')
        for i, line in enumerate(small[room]):
            at = top + 32 + LINE * i
            svg.append(f'<text x="{x:.0f}" y="{at:.0f}" class="library">{line}</text>')
    return svg, across


STYLE = (
    "text{font-family:sans-serif;text-anchor:middle;fill:#222}"
    ".title{font-size:17px;font-weight:bold}.room{font-size:14px}"
    ".library{font-size:10px;font-style:italic}"
    "rect{stroke:#555}.line{fill:none;stroke:#777;marker-end:url(#tip)}"
)


def picture(package: Path, csrc: Path) -> str:
    """Return the picture, as the text of an SVG file."""
    python, c = python_rooms(package), c_rooms(csrc)
    highest = max(max(floors(shortened(knows)).values()) for knows, _ in (python, c))
    ground = TOP + highest * FLOOR + 40
    first, width = _house(f"{package.name}/ (Python)", *python, MARGIN, ground, "#dfeaf7")
    left = MARGIN + width + 3 * MARGIN
    second, other = _house("csrc/ (C)", *c, left, ground, "#f6ead2")
    width = left + other + MARGIN
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#777"/></marker>'
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{ground + MARGIN}" '
        f'viewBox="0 0 {width:.0f} {ground + MARGIN}">'
    )
    background = f'<path d="M0 0H{width:.0f}V{ground + MARGIN}H0z" fill="#fff"/>'
    lines = [head, f"<style>{STYLE}</style>", f"<defs>{tip}</defs>", background, *first, *second]
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(ROOT / "flaccodec", ROOT / "csrc"))
