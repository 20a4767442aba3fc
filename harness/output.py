"""What commands print: JSON documents on stdout, messages and progress on stderr, tables as wide as the terminal."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TextIO

WIDTH = 80  # of what is printed for a file or a terminal that does not say how wide it is


def document(data: Any) -> None:
    """The one JSON document of a command with --json."""
    plain = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") not in ("utf8", "utf16", "utf32")
    json.dump(data, sys.stdout, ensure_ascii=plain, indent=1)
    print()


def note(message: str) -> None:
    """A line for the person, never on stdout."""
    print(f"headscript: {message}", file=sys.stderr, flush=True)


def table(rows: Sequence[Sequence[Any]], header: Sequence[str], right: Sequence[bool]) -> str:
    """Plain columns: numbers to the right, two spaces between, no line longer than its content."""
    cells = [[str(c) for c in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        parts = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)]
        lines.append("  ".join(parts).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def plural(count: int, noun: str) -> str:
    """A number with its noun.

    >>> plural(1, "head"), plural(1200, "head")
    ('1 head', '1,200 heads')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Column:
    """A column of a table: its cells from top to bottom. Where there is no room for all, those with the least `keep` go first."""

    name: str
    cells: Sequence[Any]
    right: bool = False
    keep: int = 0

    def padded(self, rows: int, cell: Any = "") -> Column:
        """With the same cell at the end until there are so many."""
        return replace(self, cells=[*self.cells, *[cell] * (rows - len(self.cells))])


def fitted(columns: Sequence[Column], width: int | None) -> str:
    """The table, without the columns of least use if it would be wider than `width`; with all of them where that is None."""
    shown = list(columns)
    while True:
        text = table(list(zip(*(c.cells for c in shown), strict=True)), [c.name for c in shown], [c.right for c in shown])
        if width is None or len(shown) == 1 or max(map(len, text.splitlines())) <= width:
            return text
        shown.remove(min(shown, key=lambda c: c.keep))


def width(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal that a stream (standard output by default) writes to; None for a file or a pipe."""
    stream = stream or sys.stdout
    return shutil.get_terminal_size((WIDTH, 24)).columns if stream.isatty() else None


def cut(text: str, width: int) -> str:
    """One line of at most `width` characters."""
    flat = "; ".join(text.splitlines())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


@contextmanager
def progress(label: str, total: int) -> Iterator[Any]:
    """A progress bar on stderr (lines without a terminal); yields update(done, text)."""
    if not sys.stderr.isatty():
        last = [-1]

        def plain(done: int, text: str = "") -> None:
            tenth = 10 * done // max(total, 1)
            if tenth != last[0]:
                last[0] = tenth
                print(f"headscript: {label} {done}/{total} {text}".rstrip(), file=sys.stderr, flush=True)

        yield plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, text="")
        yield lambda done, text="": bar.update(task, completed=done, text=text)
