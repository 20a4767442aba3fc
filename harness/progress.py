"""The progress of a campaign on stderr: phase, units done, best mean IoU on `select`, programs per second, time left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PHASES = {
    "known": "known forms",
    "heads": "heads alone",
    "llm": "language model",
    "concepts": "concepts",
    "refine": "from head to head",
    "share": "shared programs",
    "finish": "choice and test",
}
Report = Callable[[str, int, int, dict[str, Any]], None]


@contextmanager
def board() -> Iterator[Report]:
    """A bar for each phase on a terminal, else a line each time a tenth of a phase is done."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<22}"), BarColumn(18), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[text]}"), console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def report(phase: str, done: int, total: int, figures: dict[str, Any]) -> None:
            if not total:
                return
            if phase not in tasks:
                tasks[phase] = bar.add_task(PHASES[phase], total=total, text="")
            bar.update(tasks[phase], completed=done, text=said(figures))

        yield report


def _lines() -> Report:
    shown: dict[str, int] = {}

    def report(phase: str, done: int, total: int, figures: dict[str, Any]) -> None:
        tenth = 10 * done // max(1, total)
        if total and shown.get(phase) != tenth:
            shown[phase] = tenth
            print(f"headscript: {PHASES[phase]} {done}/{total} {said(figures)}".rstrip(), file=sys.stderr, flush=True)

    return report


def said(figures: dict[str, Any]) -> str:
    """The figures in words, as far as there are any."""
    if not figures.get("seconds"):
        return ""
    rate = figures["scored"] / figures["seconds"]
    return f"select {figures['select']:.3f}  {rate:,.0f} programs/s"
