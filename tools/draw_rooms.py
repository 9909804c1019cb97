"""Draws which room imports which, from the imports: docs/rooms.md.

python tools/draw_rooms.py docs/rooms.md          writes it
python tools/draw_rooms.py docs/rooms.md --check  fails if it is not up to date

It needs hgr_tf as a wheel lays it out; `make rooms` and `make lint` see to that.
"""

import sys
from pathlib import Path

import grimp

HEAD = """\
# The rooms

Drawn from the imports by `make rooms`; `make lint` fails when it is out of date, or
when a room imports what stands above it (the contracts are in pyproject.toml). An arrow
from A to B: something in A imports something in B. Arrows that follow from others (A to
C beside A to B and B to C) are left out.

"""
ROOMS = {
    "hgr_tf": "The package",
    "hgr_tf.pipelines": "The pipeline",
    "hgr_tf.export": "The export",
}


def main(page: Path, check: bool) -> int:
    """Writes or checks the page; returns the exit code."""
    graph = grimp.build_graph("hgr_tf", exclude_type_checking_imports=True)
    text = HEAD + "\n".join(
        f"## {title}\n\n```mermaid\n{picture(graph, package)}```\n"
        for package, title in ROOMS.items()
    )
    if not check:
        page.write_text(text, encoding="utf-8")
    elif page.read_text(encoding="utf-8") != text:
        print(f"{page.name} is out of date: make rooms", file=sys.stderr)
        return 1
    return 0


def picture(graph, package: str) -> str:
    """A graph of the rooms of a package, in Mermaid's language."""
    rooms = {room: set() for room in sorted(graph.find_children(package))}
    for room in rooms:
        for other in rooms.keys() - {room}:
            if direct(graph, room, other):
                rooms[room].add(other)
    lines = ["graph TD"]
    for room in rooms:
        for other in sorted(rooms[room]):
            if not reached(rooms, rooms[room] - {other}, other):
                lines.append(f"  {name(room)} --> {name(other)}")
    return "\n".join(lines) + "\n"


def direct(graph, room: str, other: str) -> bool:
    """Whether a module of one room imports a module of the other."""
    inside = {room, *graph.find_descendants(room)}
    there = {other, *graph.find_descendants(other)}
    return any(graph.find_modules_directly_imported_by(m) & there for m in inside)


def reached(rooms: dict[str, set[str]], starts: set[str], goal: str) -> bool:
    """Whether a path of arrows leads from one of the rooms to the goal."""
    seen, waiting = set(), list(starts)
    while waiting:
        room = waiting.pop()
        if room == goal:
            return True
        if room not in seen:
            seen.add(room)
            waiting += rooms[room]
    return False


def name(room: str) -> str:
    """The last part of an import name."""
    return room.rpartition(".")[2]


if __name__ == "__main__":
    page, *options = sys.argv[1:]
    sys.exit(main(Path(page), "--check" in options))
