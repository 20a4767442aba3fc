"""`headscript score RUN|FILE… --target T --text T`: IoU of given programs on other text."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import output
from harness.commands.run import TARGET_HELP
from harness.domains import text_options
from harness.errors import UsageError, UserError

if TYPE_CHECKING:
    import numpy as np

    from dsl.nodes import Program
    from harness.targets import Target

MOST_TEXTS = 500


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("what", nargs="+", metavar="RUN|FILE", help="a run folder, or files with programs in the language")
    parser.add_argument("--target", metavar="T", help=f"{TARGET_HELP}; for a run, its own model")
    text_options(parser)
    parser.add_argument("--heads", default="all", help="all (default), L2, L2H3, or several with commas")
    parser.add_argument("--max-tokens", type=int, help="texts are cut at so many tokens (default: the run's, else 96)")
    parser.add_argument("--annotator", metavar="PIPELINE", help="a spaCy pipeline (default: the run's)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")


def main(args: Namespace) -> int:
    folders = [w for w in args.what if Path(w).is_dir()]
    if folders and len(args.what) > 1:
        raise UsageError("give one run folder, or one or more program files")
    result = _run(args, folders[0]) if folders else _files(args)
    if args.json:
        output.document(result)
        return 0
    rows = [(f"L{r['layer']}H{r['head']}", f"{r['iou']:.3f}", *([r["program"]] if "program" in r else [])) for r in result["heads"]]
    columns = ("head", "IoU", "program")[: len(rows[0])]
    print(output.table(rows, columns, (False, True, False)[: len(columns)]))
    print(
        f"\nmean IoU {result['mean_iou']:.4f} over {output.plural(len(rows), 'head')} and {output.plural(result['texts'], 'text')}"
    )
    if result["library_mean_iou"] is not None:
        print(f"library  {result['library_mean_iou']:.4f}")
    return 0


def _run(args: Namespace, path: str) -> dict[str, Any]:
    """Each head with its own program, and with the library program it was given."""
    from dsl import parse
    from harness.heads import parse_heads
    from harness.session import check_same, open_run, outcome_of
    from harness.targets import load_target

    session = open_run(path, args.device)
    outcome = outcome_of(session)
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
    iou, texts = measured(args, target, [parse(p) for p in programs], heads, args.max_tokens or session.settings["max_tokens"])
    index = {p: i for i, p in enumerate(programs)}
    own = [iou[index[r["program"]], h] for h, r in enumerate(records)]
    shared = [iou[index[library[r["library_program"]]], h] for h, r in enumerate(records)]
    rows = [
        {"layer": layer, "head": head, "iou": float(a), "library_iou": float(b)}
        for (layer, head), a, b in zip(heads, own, shared, strict=True)
    ]
    return {
        "mean_iou": sum(own) / len(own),
        "heads": rows,
        "library_mean_iou": sum(shared) / len(shared),
        "texts": texts,
    }


def _files(args: Namespace) -> dict[str, Any]:
    """Each head with the best of the given programs."""
    from dsl import LanguageError, parse
    from harness.commands.check import read
    from harness.heads import parse_heads
    from harness.targets import load_target

    programs = []
    for name in args.what:
        try:
            programs.append(parse(read(Path(name))))
        except LanguageError as error:
            raise UserError(f"{name}: {error}") from None
    target = load_target(args.target or "demo", args.device)
    heads = parse_heads(args.heads, target.layers, target.heads)
    iou, texts = measured(args, target, programs, heads, args.max_tokens or 96)
    best = iou.argmax(0)
    rows = [
        {"layer": layer, "head": head, "iou": float(iou[p, h]), "program": args.what[p]}
        for h, ((layer, head), p) in enumerate(zip(heads, best, strict=True))
    ]
    programs_mean = [{"file": name, "mean_iou": float(m)} for name, m in zip(args.what, iou.mean(1), strict=True)]
    mean = sum(r["iou"] for r in rows) / len(rows)
    return {"mean_iou": mean, "heads": rows, "library_mean_iou": None, "texts": texts, "programs": programs_mean}


def measured(
    args: Namespace, target: Target, programs: list[Program], heads: list[tuple[int, int]] | Any, max_tokens: int
) -> tuple[np.ndarray, int]:
    """(P, H) mean IoU over all texts of --text (of a folder: its test part), and the number of texts."""
    from harness.annotate import load_annotator
    from harness.attention import default_cache_dir, extract
    from harness.domains import load_test, sources
    from harness.targets import prepare_domains
    from search.domains import Domains
    from search.problem import Problem
    from search.scoring import score

    annotator = load_annotator(args.annotator) if args.annotator else None
    raw, named, cut = load_test(sources(args.text, args.column, target.name), MOST_TEXTS)
    texts, domains, notes = prepare_domains(target, raw, named, max_tokens, annotator)
    for line in [*cut, *notes]:
        output.note(line)
    with output.progress("reading attention", len(texts)) as update:
        store = extract(target, texts, default_cache_dir(), progress=update)
    windows = set(target.windows)
    problem = Problem(texts, target.causal, store.array, windows.pop() if len(windows) == 1 else None, Domains(domains))
    rows = [store.index(layer, head) for layer, head in heads]
    return problem.mean(score(programs, problem, rows)), len(texts)
