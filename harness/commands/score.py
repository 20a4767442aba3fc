"""`headscript score RUN|FILE… --target T --text T`: IoU of given programs on other text."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import output
from harness.commands.run import TARGET_HELP
from harness.domains import text_options
from harness.errors import UsageError, UserError
from harness.output import Column

if TYPE_CHECKING:
    import numpy as np

    from dsl.nodes import Program
    from harness.targets import Target
    from search.domains import Domains
    from search.problem import Problem

MOST_TEXTS = 500


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("what", nargs="+", metavar="RUN|FILE", help="a run folder, or files with programs in the language")
    parser.add_argument("--target", metavar="T", help=f"{TARGET_HELP}; for a run, its own model")
    text_options(parser)
    parser.add_argument("--heads", default="all", help="all (default), L2, L2H3, or several with commas")
    parser.add_argument("--max-tokens", type=int, help="texts are cut at so many tokens (default: the run's, else 96)")
    parser.add_argument("--annotator", metavar="PIPELINE", help="a spaCy pipeline (default: the run's)")
    parser.add_argument("--full", action="store_true", help="of a run, the largest program of each head")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")


def main(args: Namespace) -> int:
    folders = [w for w in args.what if Path(w).is_dir()]
    if folders and len(args.what) > 1:
        raise UsageError("give one run folder, or one or more program files")
    result = _run(args, folders[0]) if folders else _files(args)
    if args.json:
        output.document(result)
    else:
        print(_page(result, output.width()))
    return 0


def _run(args: Namespace, path: str) -> dict[str, Any]:
    """Each head with its own program, and with the library program it was given."""
    from dsl import parse
    from harness.bands import by_band
    from harness.heads import parse_heads
    from harness.session import check_same, open_run, outcome_of
    from harness.targets import load_target
    from search.outcome import over_heads

    session = open_run(path, args.device)
    outcome = outcome_of(session, args.full)
    target = load_target(args.target, args.device) if args.target else session.target
    check_same(target, session)
    args.annotator = args.annotator or session.names["annotator"]
    wanted = set(parse_heads(args.heads, target.layers, target.heads))
    records = [r for r in outcome["heads"] if (r["layer"], r["head"]) in wanted]
    if not records:
        raise UsageError(f"--heads {args.heads}: the run has none of them")
    library = {p["id"]: p["program"] for p in outcome["library"]}
    heads = [(r["layer"], r["head"]) for r in records]
    programs = list(dict.fromkeys([*(r["program"] for r in records), *library.values()]))
    max_tokens = args.max_tokens or session.settings["max_tokens"]
    found = measured(args, target, [parse(p) for p in programs], heads, max_tokens)
    index = {p: i for i, p in enumerate(programs)}
    rows = []
    for h, record in enumerate(records):
        own, shared = index[record["program"]], index[library[record["library_program"]]]
        place = {"layer": record["layer"], "head": record["head"], "size": record["size"]}
        rows.append({**place, **found.figures(own, h), **found.figures(shared, h, "library_")})
    return {
        "mean_iou": over_heads(rows, "iou"),
        "domains": over_heads(rows, "domains"),
        "gap": over_heads(rows, "gap"),
        "heads": rows,
        "library_mean_iou": over_heads(rows, "library_iou"),
        "library_domains": over_heads(rows, "library_domains"),
        "programs": "the largest of each head" if args.full else "those shown first",
        "texts": len(found.domains.each),
        "bands": [
            {"from": start, "below": stop, "iou": value}
            for start, stop, value in by_band(found.problem, [parse(r["program"]) for r in records], found.rows)
        ],
    }


def _files(args: Namespace) -> dict[str, Any]:
    """Each head with the best of the given programs."""
    from dsl import LanguageError, parse, size
    from harness.commands.check import read
    from harness.heads import parse_heads
    from harness.targets import load_target
    from search.outcome import over_heads

    if args.full:
        raise UsageError("--full goes with a run folder")
    programs = []
    for name in args.what:
        try:
            programs.append(parse(read(Path(name))))
        except LanguageError as error:
            raise UserError(f"{name}: {error}") from None
    target = load_target(args.target or "demo", args.device)
    heads = parse_heads(args.heads, target.layers, target.heads)
    found = measured(args, target, programs, heads, args.max_tokens or 96)
    mean = found.domains.mean(found.iou)  # (P, H)
    rows = [
        {"layer": layer, "head": head, "size": size(programs[p]), **found.figures(p, h), "program": args.what[p]}
        for h, ((layer, head), p) in enumerate(zip(heads, mean.argmax(0).tolist(), strict=True))
    ]
    return {
        "mean_iou": over_heads(rows, "iou"),
        "domains": over_heads(rows, "domains"),
        "gap": over_heads(rows, "gap"),
        "heads": rows,
        "library_mean_iou": None,
        "library_domains": None,
        "programs": [{"file": name, "mean_iou": float(m)} for name, m in zip(args.what, mean.mean(1), strict=True)],
        "texts": len(found.domains.each),
    }


@dataclass(frozen=True)
class Measured:
    """IoU (P, H, T) of programs with heads on every text, the domain of each; the texts' patterns, and the heads' rows there."""

    iou: np.ndarray
    domains: Domains
    problem: Problem
    rows: list[int]

    def figures(self, program: int, head: int, before: str = "") -> dict[str, Any]:
        """{"iou", "domains", "gap"} of a program on a head, with `before` in front of the names."""
        values = self.iou[program, head]
        by_domain = {name: float(mean) for name, mean in self.domains.means(values).items()}
        gap = max(by_domain.values()) - min(by_domain.values())
        return {f"{before}iou": float(self.domains.mean(values)), f"{before}domains": by_domain, f"{before}gap": gap}


def measured(
    args: Namespace, target: Target, programs: list[Program], heads: Sequence[tuple[int, int]], max_tokens: int
) -> Measured:
    """Programs on heads, on all texts of --text (of a folder: its test part)."""
    from harness.annotate import load_annotator
    from harness.attention import default_cache_dir, extract
    from harness.domains import load_test, sources
    from harness.targets import prepare_domains
    from search.domains import Domains
    from search.problem import Problem
    from search.scoring import score

    annotator = load_annotator(args.annotator) if args.annotator else None
    raw, named, cut = load_test(sources(args.text, args.column, target.name), MOST_TEXTS)
    texts, each, notes = prepare_domains(target, raw, named, max_tokens, annotator)
    for line in [*cut, *notes]:
        output.note(line)
    with output.progress("reading attention", len(texts)) as update:
        store = extract(target, texts, default_cache_dir(), progress=lambda done, _: update(done))
    windows, domains = set(target.windows), Domains(each)
    problem = Problem(texts, target.causal, store.array, windows.pop() if len(windows) == 1 else None, domains)
    rows = [store.index(layer, head) for layer, head in heads]
    return Measured(score(programs, problem, rows), domains, problem, rows)


def _page(result: dict[str, Any], width: int | None) -> str:
    """The domain matrix: a row for each head, a column for each kind of text."""
    rows, names = result["heads"], list(result["domains"])
    several = len(names) > 1
    columns = [Column("head", [f"L{r['layer']}H{r['head']}" for r in rows], keep=9)]
    columns.append(Column("size", [r["size"] for r in rows], True, keep=5))
    columns.append(Column("IoU", [f"{r['iou']:.3f}" for r in rows], True, keep=9))
    if several:
        columns += [Column(name, [f"{r['domains'][name]:.3f}" for r in rows], True, keep=8) for name in names]
        columns.append(Column("gap", [f"{r['gap']:.3f}" for r in rows], True, keep=7))
    if "program" in rows[0]:
        columns.append(Column("program", [r["program"] for r in rows], keep=6))
    of = f"over {output.plural(len(rows), 'head')} and {output.plural(result['texts'], 'text')}"
    lines = [output.fitted(columns, width), "", f"mean IoU {result['mean_iou']:.4f} {of}{_each(result['domains'])}"]
    if result["library_mean_iou"] is not None:
        lines[-1] += f"; programs: {result['programs']}"
        lines.append(f"library  {result['library_mean_iou']:.4f}{_each(result['library_domains'])}")
    if len(bands := result.get("bands", ())) > 1:
        said = (f"{band['from']}–{band['below'] - 1} {band['iou']:.3f}" for band in bands)
        lines.append(f"by position of the query: {', '.join(said)}")
    return "\n".join(lines)


def _each(domains: dict[str, float]) -> str:
    return ": " + ", ".join(f"{name} {mean:.3f}" for name, mean in domains.items()) if len(domains) > 1 else ""
