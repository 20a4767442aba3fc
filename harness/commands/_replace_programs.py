"""Which programs `headscript replace` puts in place: those of the run, those chosen by effect, and those of a second round."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from harness import output

if TYPE_CHECKING:
    from dsl.text import Text
    from harness.curve import SecondRound
    from harness.measure import Sample
    from harness.patterns import PatternSource, Sources
    from harness.replace import Head
    from harness.session import Session

PREPARED = 2  # batches of texts that are kept between programs, with the values of their expressions
FOLDER = "refit"  # of a run: programs with other constants, one file for each way to find them


def run_programs(outcome: Mapping[str, Any], library: bool) -> dict[Head, str]:
    """The program of every head of a run, its own or its library's."""
    shared = {p["id"]: p["program"] for p in outcome["library"]}
    return {(r["layer"], r["head"]): shared[r["library_program"]] if library else r["program"] for r in outcome["heads"]}


def sources_of(session: Session, programs: Mapping[Head, str]) -> dict[Head, PatternSource]:
    """Programs as pattern sources. Heads with the same program and the same attention window get the same source."""
    from dsl import Batch, evaluate, parse

    causal, windows = _shape(session)

    @lru_cache(PREPARED)  # programs of one batch follow each other, and share what they compute
    def prepared(texts: tuple[Text, ...], window: int | None) -> Batch:
        return Batch(texts, causal, window)

    @cache
    def source(program: str, window: int | None) -> PatternSource:
        parsed = parse(program)
        return lambda texts: evaluate(parsed, prepared(tuple(texts), window))

    return {head: source(program, windows[head[0]]) for head, program in programs.items()}


def chosen_by_effect(
    session: Session, outcome: Mapping[str, Any], heads: Sequence[Head], fit: Sample, select: Sample, seed: int
) -> dict[str, Any]:
    """For each of the heads the program of its front, of the library, or with fitted constants, of the least effect on the output.

    {"programs": {"L0H1": text}, "effects": {"L0H1": [of the run's program, of this one]}, "fitted": how many with other constants},
    kept in the run folder.
    """
    from dsl import parse
    from harness.curve import label
    from harness.objective import by_effect

    library = [p["program"] for p in outcome["library"]]
    records = {(r["layer"], r["head"]): r for r in outcome["heads"] if (r["layer"], r["head"]) in set(heads)}
    offered = {
        head: list(dict.fromkeys([r["program"], *(p["program"] for p in r.get("front", ())), *library]))
        for head, r in records.items()
    }

    def find() -> dict[str, Any]:
        causal, windows = _shape(session)
        parsed = {head: [parse(p) for p in own] for head, own in offered.items()}
        with output.progress("programs by effect", len(records) + 2) as update:
            found = by_effect(
                session.target.model, fit, select, parsed, causal, windows, seed=seed, progress=lambda done, total: update(done)
            )
        return {
            "programs": {label(head): str(choice.program) for head, choice in found.items()},
            "effects": {label(head): [choice.before, choice.effect] for head, choice in found.items()},
            "fitted": sum(choice.fitted for choice in found.values()),
        }

    return _kept(session, "effect", [sorted(offered.items()), seed], find)


def second_round(
    session: Session, programs: Mapping[Head, str], fit: Sample, select: Sample, passes: int, seed: int
) -> SecondRound:
    """Programs with constants fitted in the model with all of the given heads replaced; what is found is kept in the run folder."""
    from dsl import parse
    from harness.curve import SecondRound, label
    from harness.refit import refit, steps

    def refitted(heads: Sequence[Head], step: Callable[[], None]) -> tuple[Sources, dict[str, Any]]:
        chosen = {head: programs[head] for head in sorted(heads)}

        def find() -> dict[str, Any]:
            causal, windows = _shape(session)
            parsed = {head: parse(program) for head, program in chosen.items()}
            model = session.target.model
            found, losses = refit(model, fit, select, parsed, causal, windows, passes, seed, progress=lambda done, total: step())
            return {"passes": passes, "programs": {label(head): str(p) for head, p in found.items()}, "losses": losses}

        found = _kept(session, "second-round", [sorted(chosen.items()), passes, seed], find)
        return sources_of(session, {head: found["programs"][label(head)] for head in chosen}), found

    return SecondRound(passes, steps(fit, passes), refitted)


def _kept(session: Session, what: str, key: Any, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was found, from the run folder where it has it."""
    from importlib.metadata import version

    settings = [session.settings[name] for name in ("target", "text", "max_tokens", "seed", "annotator")]
    name = f"{FOLDER}/{what}-{digest([version('headscript'), settings, key])}.json"
    if not session.folder.has(name):
        session.folder.write(name, find())
    return session.folder.read(name)


def digest(value: Any) -> str:
    """A short name for a JSON value."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _shape(session: Session) -> tuple[bool, list[int | None]]:
    model = session.description["model"]
    return model["causal"], model["windows"]
