"""What the benchmarks measure on: a model's heads on the three splits of a text, in a run folder like that of `headscript run`."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness.commands.run import TARGET_HELP
from harness.domains import split_options, text_options
from search.executors import cores, executor
from search.folder import SPLITS, RunFolder

SHARED = Path(__file__).parents[2] / "shared"  # models and texts that do not ship with the project
EVALUATIONS = 400_000
FEW = 4  # heads of a quick look


@dataclass(frozen=True)
class Bench:
    """A run folder with texts and patterns, the rows of the heads in question, and what their names are."""

    path: str
    heads: tuple[int, ...]
    per_layer: int
    seed: int

    @property
    def folder(self) -> RunFolder:
        return RunFolder(Path(self.path))

    def name(self, head: int) -> str:
        return "L{}H{}".format(*divmod(head, self.per_layer))


def parser(description: str, heads: str = "all") -> ArgumentParser:
    """The arguments that all benchmarks share. `heads`: all, or `few` for some that are spread over the model."""
    found = ArgumentParser(description=description.splitlines()[0])
    here = (SHARED / "models/stories260K").exists()
    found.add_argument("--target", default=str(SHARED / "models/stories260K") if here else "demo", help=TARGET_HELP)
    text_options(found, default="the stories beside the repository, else demo")
    split_options(found)
    found.set_defaults(text_default=[str(SHARED / "data/tinystories")] if here else None)
    found.add_argument(
        "--heads", default=heads, help=f"all, few ({FEW} heads), L2, L2H3, or several with commas (default: {heads})"
    )
    found.add_argument("--max-tokens", type=int, default=96, help="texts are cut at so many tokens (default: 96)")
    found.add_argument("--evaluations", type=int, default=EVALUATIONS, help="programs scored at most by a search over all heads")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--workers", type=int, default=cores(), help="local processes (default: one for each core)")
    return found


@contextmanager
def opened(args: Namespace, run: str | None = None) -> Iterator[Bench]:
    """The run folder of a finished run, if one is given, else a temporary one for the target and text of the arguments."""
    from harness.heads import parse_heads
    from harness.session import begin_run, open_run
    from harness.targets import load_target

    if run is not None:
        session = open_run(run)
        for split in SPLITS:
            session.store(split)
        yield _bench(session, args.heads)
        return
    with TemporaryDirectory() as folder:
        wanted = args.heads
        if wanted == "few":
            target = load_target(args.target)
            every = parse_heads("all", target.layers, target.heads)
            some = every[len(every) // (2 * FEW) :: max(1, len(every) // FEW)][:FEW]
            wanted = ",".join("L{}H{}".format(*h) for h in some)
        chosen = {"heads": wanted, "text": args.text or args.text_default}
        settings = {**vars(args), **chosen, "annotator": None, "concepts": None, "device": "cpu", "library_size": 16}
        session = begin_run(Namespace(**settings), Path(folder) / "run")
        yield _bench(session, "all")


def _bench(session: Any, wanted: str) -> Bench:
    from harness.heads import parse_heads

    model = session.description["model"]
    heads = [tuple(h) for h in session.settings["heads"]]
    if wanted == "few":
        heads = heads[len(heads) // (2 * FEW) :: max(1, len(heads) // FEW)][:FEW]
    elif wanted != "all":
        named = parse_heads(wanted, model["layers"], model["heads"])
        heads = [h for h in heads if h in named]
    rows = tuple(layer * model["heads"] + head for layer, head in heads)
    return Bench(str(session.folder.path), rows, model["heads"], session.settings["seed"])


@dataclass(frozen=True)
class Done:
    """What one piece of work gave, and the seconds of one core that it took."""

    value: Any
    seconds: float


def each(work: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], workers: int, what: str) -> list[Done]:
    """work(*job) for every job, in local processes; results in the order of the jobs. Progress goes to stderr."""
    with executor(None, workers) as pool:
        tasks = [pool.submit(_timed, work, job) for job in jobs]
        found = []
        for i, task in enumerate(tasks):
            found.append(task.result())
            say(f"{what}: {i + 1}/{len(jobs)}")
    return found


def say(text: str) -> None:
    """Progress, on a terminal alone."""
    if sys.stderr.isatty():
        print(f"\r{text:60}", end="", file=sys.stderr, flush=True)


class Timed(Executor):
    """An executor that sums up the seconds of one core that its work took."""

    def __init__(self, inner: Executor) -> None:
        self.inner, self.seconds = inner, 0.0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        outer: Future[Any] = Future()
        self.inner.submit(_timed, partial(fn, **kwargs), args).add_done_callback(partial(self._end, outer))
        return outer

    def _end(self, outer: Future[Any], inner: Future[Done]) -> None:
        if inner.cancelled() or not outer.set_running_or_notify_cancel():
            return
        if error := inner.exception():
            outer.set_exception(error)
            return
        self.seconds += inner.result().seconds
        outer.set_result(inner.result().value)


def _timed(work: Callable[..., Any], job: tuple[Any, ...]) -> Done:
    started = time.process_time()
    value = work(*job)
    return Done(value, time.process_time() - started)


def own_programs(bench: Bench, programs: Sequence[Sequence[str]], short: bool = True) -> tuple[list[str], list[dict[str, float]]]:
    """Each head's program among those proposed for it, by the rule of a run, and its mean IoU on each split.

    short: length has its price, as in a run; without it each head has the program that is best on the select texts.
    """
    from dsl import parse, size
    from search import units
    from search.selection import PARSIMONY, elbow

    pool = [(h, p) for h, own in enumerate(programs) for p in dict.fromkeys(own)]
    iou = {split: np.zeros(len(pool)) for split in SPLITS}
    for h, head in enumerate(bench.heads):
        mine = [i for i, (at, _) in enumerate(pool) if at == h]
        for split in SPLITS:
            iou[split][mine] = units.score(bench.path, [pool[i][1] for i in mine], split, [head]).mean((1, 2))
    sizes = np.array([size(parse(p)) for _, p in pool])
    select = np.full((len(pool), len(bench.heads)), -np.inf)
    select[range(len(pool)), [h for h, _ in pool]] = iou["select"]
    chosen = elbow(select, sizes, PARSIMONY if short else 0)
    return [pool[i][1] for i in chosen], [{s: float(iou[s][i]) for s in SPLITS} for i in chosen]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    widths = [max(len(str(r[i])) for r in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return (
            "| "
            + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
            + " |"
        )

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])
