"""What the page shows, as one JSON value."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness import llm_page
from harness.report import colours
from harness.report.matrices import SCALE, Shown, pack, shared_window, shown

if TYPE_CHECKING:
    from harness.session import Session

MATRIX_BYTES = 3_400_000  # of packed matrices at most, so that a page of 144 heads stays under 5 MB
MOST_TEXTS = 4


def page_data(session: Session, outcome: dict[str, Any], texts: int | None = None) -> dict[str, Any]:
    """Everything on the page. texts: how many to show; by default at most MOST_TEXTS, fewer where heads are many."""
    programs = Programs()
    records = outcome["heads"]
    llm = session.folder.read("llm.json") if session.folder.has("llm.json") else {}
    own = [programs.add(r["program"]) for r in records]
    library = [programs.add(p["program"]) for p in outcome["library"]]
    place = {p["id"]: i for i, p in enumerate(outcome["library"])}
    used = {r["kind"] for r in records}
    kinds = [*(k for k in colours.KINDS if k in used), *sorted(used - colours.KINDS.keys())]
    replaced = session.folder.read("replace.json") if session.folder.has("replace.json") else None
    places = {name: i for i, name in enumerate((replaced or {}).get("heads_in_order", ()), 1)}
    shown_examples, example_texts = _examples(session, records)
    return {
        "name": session.folder.path.resolve().name,
        "target": outcome["target"],
        "text": outcome["text"],
        "seed": outcome["seed"],
        "model": {k: session.description["model"][k] for k in ("layers", "heads", "causal")},
        "summary": {
            **{k: outcome[k] for k in ("evaluations", "mean_iou", "interval", "library_mean_iou", "proposals", "held_out", "gap")},
            "domains": [
                [
                    name,
                    figures.get("test"),
                    outcome["full_program"]["domains"][name]["test"],
                    outcome["library_domains"][name]["test"],
                ]
                for name, figures in outcome["domains"].items()
            ],
            "baseline": _mean([r["baseline"]["test"] for r in records]),
            "seconds": outcome.get("seconds"),
            "time": outcome.get("time"),
        },
        "kinds": [[k, colours.letters(k), colours.kind(k)] for k in kinds],
        "ramps": {name: {"seq": colours.sequential(dark), "div": colours.diverging(dark)} for name, dark in _THEMES},
        "heads": [
            {
                "layer": r["layer"],
                "head": r["head"],
                "program": p,
                "rules": r["rules"],
                "size": r["size"],
                "kind": r["kind"],
                "headline": r["headline"],
                "adds": r["rule_gains"],
                "full": _full(r),
                "words": words(r["program"]),
                "examples": found,
                "effect": places.get(f"L{r['layer']}H{r['head']}"),
                "iou": r["iou"],
                "gap": r["gap"],
                "domains": [
                    [name, figures["test"], r["domain_intervals"][name], r["library_domains"][name]["test"]]
                    for name, figures in r["domains"].items()
                ],
                "intervals": r["intervals"],
                "per_text": r["iou_per_text"]["test"],
                "library": place[r["library_program"]],
                "library_iou": r["library_iou"],
                "baseline": r["baseline"],
                "proposer": r["proposer"],
                "llm": llm.get("heads", {}).get(f"L{r['layer']}H{r['head']}"),
                "front": [[f["size"], f["fit"], f["select"], f["rules"], f["proposer"]] for f in r["front"]],
                "front_programs": packed_programs([f["program"] for f in r["front"]]),
            }
            for p, r, found in zip(own, records, shown_examples, strict=True)
        ],
        "example_texts": example_texts,
        "meanings": meanings([r["program"] for r in records]),
        "library": [
            {
                "id": p["id"],
                "program": i,
                "heads": p["heads"],
                "rules": p["rules"],
                "size": p["size"],
                "colour": colours.library(n),
            }
            for n, (i, p) in enumerate(zip(library, outcome["library"], strict=True))
        ],
        "curve": outcome["curve"],
        "replace": replaced,
        "llm": _flat({name: value for name, value in llm.items() if name != "heads"}),
        "llm_programs": [list(row) for row in llm_page.rows(session.folder)],
        "programs": [described(p) for p in programs.texts],
        "scale": SCALE,
        "texts": [
            {"index": s.text, "tokens": s.tokens, "length": s.length, "heads": s.heads, "programs": s.programs}
            for s in _texts(session, programs, [(r["layer"], r["head"]) for r in records], texts)
        ],
        "settings": _flat({**session.labels, **{k: v for k, v in session.settings.items() if k not in ("target", "text")}}),
        "versions": session.description["versions"],
        "notes": session.description["notes"],
    }


def _full(record: dict[str, Any]) -> dict[str, Any] | None:
    """The largest program of a head, as the page unpacks it; None where it is the one that is shown."""
    full = record["full_program"]
    if full["program"] == record["program"]:
        return None
    told = json.dumps({**described(full["program"]), "adds": full["rule_gains"]}, ensure_ascii=False)
    return {"rules": full["rules"], "size": full["size"], "iou": full["iou"], "packed": pack(told.encode())}


def _examples(session: Session, records: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[int, tuple[str, ...]]]:
    """For each head the queries of `test` on which its program agrees with it most and least; the tokens of their texts."""
    from dsl import parse
    from harness.report.examples import examples
    from search import workspace

    session.store("test")
    problem = workspace.problem(str(session.folder.path), "test")
    width = session.description["model"]["heads"]
    found = [examples(parse(r["program"]), problem, r["layer"] * width + r["head"]) for r in records]
    workspace.settle(str(session.folder.path), "test")
    used = sorted({text for f in found for rows in f.values() for text, *_ in rows})
    return found, {text: problem.texts_given[text].tokens for text in used}


def words(program: str) -> list[str]:
    """The concepts and the classes of words that a program speaks of, in its order."""
    from dsl.classes import NAMES

    called = re.findall(r"\bconcept (\w+)|\b(\w+)\(", re.sub(r'"(?:\\.|[^"\\])*"', '""', program))
    concepts = {name for name, _ in called if name}
    return list(dict.fromkeys(name or use for name, use in called if name or use in NAMES or use in concepts))


def meanings(programs: Sequence[str]) -> dict[str, str]:
    """What the concepts and classes of words of these programs mean."""
    from dsl import parse
    from dsl.sentences import definition
    from dsl.vocabulary import VOCABULARY

    found: dict[str, str] = {}
    for text in dict.fromkeys(programs):
        new = [w for w in words(text) if w not in found]
        concepts = {c.name: c for c in parse(text).concepts} if new else {}
        for word in new:
            found[word] = definition(concepts[word]) if word in concepts else VOCABULARY[word].meaning
    return found


_THEMES = (("light", False), ("dark", True))


class Programs:
    """Program texts in the order they are added, each once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._index: dict[str, int] = {}

    def add(self, program: str) -> int:
        """The program's number."""
        if program not in self._index:
            self._index[program] = len(self.texts)
            self.texts.append(program)
        return self._index[program]


def _texts(session: Session, programs: Programs, heads: Sequence[tuple[int, int]], count: int | None) -> list[Shown]:
    from dsl import parse

    model = session.description["model"]
    parsed = [parse(p) for p in programs.texts]
    result: list[Shown] = []
    found = shown(
        session.texts("test"),
        session.store("test"),
        heads,
        parsed,
        model["causal"],
        shared_window(model),
        MOST_TEXTS if count is None else count,
    )
    for text in found:
        if count is None and result and sum(t.size for t in result) + text.size > MATRIX_BYTES:
            break
        result.append(text)
    return result


def described(program: str) -> dict[str, Any]:
    """A program line by line: its lines, the leaf rule that stands on each (None: none does), English per rule."""
    from dsl import english, parse

    lines = program.splitlines()
    return {"lines": lines, "rule_of": rule_of(lines), "english": english(parse(program))}


def rule_of(lines: Sequence[str]) -> list[int | None]:
    """The number of the leaf rule on each line of a printed program: one rule to a line, beside blocks, names and concepts."""
    numbers: list[int | None] = []
    count = 0
    for line in lines:
        bare = line.strip()
        if bare.startswith(("let ", "concept ", "}")) or bare.endswith("{"):
            numbers.append(None)
        else:
            numbers.append(count)
            count += 1
    return numbers


def packed_programs(programs: Sequence[str]) -> str:
    """The lines of an archive front's programs, as the page unpacks them when their head is shown."""
    return pack(json.dumps([p.splitlines() for p in programs], ensure_ascii=False).encode())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _flat(data: Any, name: str = "") -> list[tuple[str, str]]:
    """(name, value) rows of nested JSON; long lists are counted."""
    if isinstance(data, dict):
        return [row for key, value in data.items() for row in _flat(value, f"{name} {key}".strip().replace("_", " "))]
    if isinstance(data, list):
        short = len(data) <= 8 and not any(isinstance(v, (dict, list)) for v in data)
        return [(name, ", ".join(map(str, data)) if short else f"{len(data)} in all")]
    shown_as = "–" if data is None else f"{data:,}" if isinstance(data, int) and not isinstance(data, bool) else str(data)
    return [(name, shown_as)]
