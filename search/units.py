"""The units of work of a campaign: functions of plain arguments that any worker can run, and whose results are plain data.

A unit's result: {"heads": rows it was made for, "candidates": [{"program", "rules", "proposer", "root", "fit"}, …],
"counts": {"made", "same_text", "same_behaviour", "scored"}, "select": IoU of the best}. The root of a program is who proposed its
first ancestor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from search import workspace
from search.selection import PARSIMONY

if TYPE_CHECKING:
    import numpy as np

    from dsl.nodes import Program
    from search.finish import Pool
    from search.folder import RunFolder
    from search.forms.finishing import Finished
    from search.forms.growth import Growth
    from search.forms.shapes import Shape

Found = tuple[str, str, "Program"]  # proposer, root, program
Start = tuple[str, str]  # text, root

CHILDREN = 45  # mutants made of a language model's programs for a head
EVALUATIONS_A_CHILD = 40  # what the search scores in the time that a mutant takes
KEPT = 12  # programs of a language model that are handed on, best first
KNOWN = 3  # known forms that are fitted to a head
NEAREST = 2  # programs of other heads that a head's search goes on from, beside its own
SHOWN = 60  # tokens of a program that is shown, and of one in the library, at most
LONGEST = 180  # tokens of any program, where the plan says nothing
FOUND = 4 / 3  # what a token costs while programs are found, beside what it costs in the choice: gains on `fit` are larger
EARLY = 0.55  # of a head's evaluations, before it sees other heads' programs
BEGINNING = 400  # evaluations without which no search is begun: the first programs take most of them


def score(path: str, programs: Sequence[str], split: str, heads: Sequence[int]) -> np.ndarray:
    """(P, H, T): IoU of programs on heads and texts of a split."""
    from dsl import parse
    from search.scoring import score as iou

    return iou([parse(p) for p in programs], workspace.problem(path, split), heads)


def mean_scores(path: str, programs: Sequence[str], split: str, heads: Sequence[int]) -> np.ndarray:
    """(P, H) float32: the same, mean over the texts."""
    import numpy as np

    means = workspace.problem(path, split).mean(score(path, programs, split, heads)).astype(np.float32)
    workspace.settle(path, split)
    return means


def rule_gains(path: str, program: str, head: int) -> list[float]:
    """What each leaf rule adds to the IoU on `select`, by leaving it out."""
    from dsl import parse
    from search.contributions import contributions

    gains = contributions(parse(program), workspace.problem(path, "select"), head)
    workspace.settle(path, "select")
    return gains


def glossary(
    path: str, definition: str, programs: Sequence[str], heads: Sequence[int], places: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """What the result says of a concept, used by these shown programs of these heads (rows), which are at these places."""
    from dsl import parse
    from search.glossary import entry, loss

    fit, select = (workspace.problem(path, split) for split in ("fit", "select"))
    parsed = [parse(p) for p in programs]
    concept = next(c for c in parsed[0].concepts if str(c) == definition)
    gains = [loss(p, concept, select, head) for p, head in zip(parsed, heads, strict=True)]
    found = entry(concept, fit, places, gains)
    workspace.settle(path, "fit", "select")
    return found


def known(path: str, plan: dict[str, Any], head: int) -> dict[str, Any]:
    """The known forms for one head: all as they stand, the best few fitted."""
    from search.forms.fitting import score as iou
    from search.forms.known import forms
    from search.forms.reading import read

    growth = _growth(path, plan, [head])
    causal, features = growth.board.problem.causal, growth.board.features
    most = max(1, int(growth.budget))
    shapes = [shape for form in forms(causal) if (shape := read(form.program(causal), features))][:most]
    scores = [iou(growth.board, shape, growth.targets) for shape in shapes]
    growth.evaluations += len(shapes)
    best = sorted(range(len(shapes)), key=lambda i: (-scores[i], i))[:KNOWN]
    fitted = [growth.settle(shapes[i], growth.effort.steps)[1] if growth.affordable() else shapes[i] for i in best]
    return _handed_on(path, plan, [head], "library", [_finished(path, [head], shape) for shape in fitted], growth.evaluations)


def explore(path: str, plan: dict[str, Any], head: int, starts: Sequence[Start]) -> dict[str, Any]:
    """Grows programs of the shown length for one head from the known forms that fit it best."""
    from search.forms.course import bases, begin, grown

    growth = _growth(path, plan, [head], share=EARLY)
    if growth.budget < BEGINNING:
        return _nothing([head])
    begin(growth, [*_read(growth, starts), *bases(growth.board)])
    return _handed_on(path, plan, [head], "grammar", _fronts(path, [head], grown(growth)), growth.evaluations)


def concepts_of(programs: Iterable[str]) -> list[tuple[str, ...]]:
    """The concepts of these programs that the search made."""
    from dsl import parse
    from search.forms.unions import made

    return sorted({names for text in programs for names in made(parse(text))})


def weigh(
    path: str, plan: dict[str, Any], head: int, starts: Sequence[Start], offered: Sequence[tuple[str, ...]]
) -> dict[str, Any]:
    """What the offered concepts would do in the places of those of this head's program.

    Its "uses": for each place [[names of the classes, IoU], …].
    """
    from search.forms.fitting import score as iou
    from search.forms.places import alternatives

    growth = _growth(path, plan, [head])
    uses = []
    for shape in _read(growth, starts)[-1:]:
        shape = growth.settle(shape, growth.effort.steps)[1]
        for options in alternatives(growth, shape, offered):
            uses.append([[list(names), round(iou(growth.board, other, growth.targets), 6)] for names, other in options])
            growth.evaluations += len(options)
    growth.board.forget()
    return {**_nothing([head], growth.evaluations), "uses": uses}


def concepts(folder: RunFolder, price: float) -> list[tuple[str, ...]]:
    """The concepts that serve the heads best, from all units of `weigh`."""
    from search.forms.unions import chosen

    found = [use for name in folder.units("concepts") for use in folder.read(name)["uses"]]
    return chosen([{tuple(names): value for names, value in use} for use in found], price)


def refine(path: str, plan: dict[str, Any], head: int, starts: Sequence[Start], others: str) -> dict[str, Any]:
    """Goes on, in the model's concepts, from a head's programs and those of other heads that come nearest, beyond the shown length.

    others: the file of the run folder with the programs of all heads.
    """
    from pathlib import Path

    from search.folder import RunFolder
    from search.forms.course import begin, grown, nearest
    from search.forms.places import settled

    growth = _growth(path, plan, [head], share=1 - EARLY, long=True, told=True)
    if growth.budget < BEGINNING:
        return _nothing([head])
    own = [settled(growth, shape) for shape in _read(growth, starts)]
    given = _read(growth, [(text, root) for h, text, root in RunFolder(Path(path)).read(others) if h != head])
    near = [settled(growth, shape) for shape in nearest(growth, given, NEAREST)]
    shapes = [*own, *near]
    if not shapes:  # none of the programs there are has one of the search's forms
        return _nothing([head])
    begin(growth, shapes)
    return _handed_on(path, plan, [head], "refined", _fronts(path, [head], grown(growth)), growth.evaluations)


def share(path: str, plan: dict[str, Any], number: int, heads: Sequence[int], starts: Sequence[Start]) -> dict[str, Any]:
    """One program for a group of heads, grown for all of them together from those that serve it best."""
    from search.forms.course import begin, grown

    growth = _growth(path, plan, heads, told=True)
    if growth.budget < BEGINNING:
        return _nothing(heads)
    shapes = _read(growth, starts)
    if not shapes:
        return _nothing(heads)
    begin(growth, shapes)
    return _handed_on(path, plan, heads, "share", _fronts(path, heads, grown(growth)), growth.evaluations)


def _growth(
    path: str, plan: dict[str, Any], heads: Sequence[int], share: float = 1.0, long: bool = False, told: bool = False
) -> Growth:
    """told: after language models were asked, whose words may be used."""
    from search.forms import workplace
    from search.forms.growth import Effort, Growth

    most = plan["max_size"] or LONGEST
    alone = len(workspace.problem(path, "fit").domains.names) == 1  # no other kind of text, on which a list of tokens could fail
    effort = Effort(
        price=FOUND * min(plan["parsimony"], PARSIMONY),
        shown=min(SHOWN, most),
        most=most if long else 0,
        lists=alone,
        rules=plan["max_rules"],
    )
    sets = workplace.token_sets(path, plan["max_set"]) if long or alone else None
    settled = workplace.concepts(path)
    words = workplace.informed(path, tuple(heads), settled) if told else workplace.with_concepts(path, settled)
    return Growth(words, list(heads), effort, share * plan["evaluations"] / max(1, len(plan["heads"])), settled, sets)


def _read(growth: Growth, starts: Sequence[Start]) -> list[Shape]:
    shapes = (_shape(text, growth.board.problem.causal) for text, _ in starts)
    return [shape for shape in shapes if shape is not None]


@lru_cache(maxsize=1 << 13)
def _shape(text: str, causal: bool) -> Shape | None:
    """A program as the search sees it; kept, for every head of a run looks at the programs of all others."""
    from dsl import parse
    from search.forms.board import features
    from search.forms.reading import read

    return read(parse(text), features(causal))


def _fronts(path: str, heads: Sequence[int], found: Sequence[Any]) -> list[Finished]:
    from search.forms.finishing import spread

    return [_finished(path, heads, f.shape) for f in spread(found)]


def _finished(path: str, heads: Sequence[int], shape: Shape) -> Finished:
    from search.forms import workplace
    from search.forms.finishing import finish

    board = workplace.whole(path, "fit")
    return finish(board, shape, board.target(heads))


def _nothing(heads: Sequence[int], scored: int = 0) -> dict[str, Any]:
    counts = {"made": 0, "same_text": 0, "same_behaviour": 0, "scored": scored}
    return {"heads": list(heads), "candidates": [], "counts": counts, "select": 0.0}


def _handed_on(
    path: str, plan: dict[str, Any], heads: Sequence[int], proposer: str, finished: Sequence[Finished], scored: int
) -> dict[str, Any]:
    """A unit's result: each text once, within the plan's limits."""
    from search.forms import workplace
    from search.forms.fitting import score as iou
    from search.selection import within

    counts = {"made": len(finished), "same_text": 0, "same_behaviour": 0, "scored": scored}
    candidates: dict[str, dict[str, Any]] = {}
    for f in finished:
        text = str(f.program)
        counts["same_text"] += text in candidates
        if text not in candidates and within(f.program, plan["max_rules"], plan["max_size"], plan["max_set"]):
            rules = len(f.program.rules())
            candidates[text] = {"program": text, "rules": rules, "proposer": proposer, "root": proposer, "fit": round(f.iou, 6)}
    select = 0.0
    for board in (workplace.candidates(path).board, workplace.whole(path, "fit")):
        board.forget()
    if finished:  # for the progress report alone
        board = workplace.whole(path, "select")
        select = iou(board, max(finished, key=lambda f: f.iou).shape, board.target(heads))
    return {"heads": list(heads), "candidates": list(candidates.values()), "counts": counts, "select": round(select, 6)}


def adopt(path: str, plan: dict[str, Any], number: int, head: int, programs: Sequence[str]) -> dict[str, Any]:
    """Programs that a language model proposed for a head: as they are, with fitted constants, and evolved."""
    from dsl import parse
    from search.fitting import fit_constants

    problem = workspace.problem(path, "fit")
    given = [parse(p) for p in programs]
    found: list[Found] = [("llm", "llm", p) for p in given]
    found += [("llm", "llm", fit_constants(p, problem, [head])) for p in given]
    children, scored, same = descendants(path, plan, head, found, given, (4, number))
    found += [("llm", root, p) for _, root, p in children]
    return collected(path, plan, [head], found, scored + len(given), same)


def descendants(
    path: str, plan: dict[str, Any], head: int, parents: Sequence[Found], others: Sequence[Program], stream: tuple[int, int]
) -> tuple[list[Found], int, int]:
    """Survivors of evolution, programs scored, and children whose text was known."""
    import numpy as np

    from search.evolution import evolve

    rng = np.random.default_rng([plan["seed"], plan["round"], *stream])
    problem = workspace.problem(path, "fit")
    children = min(CHILDREN, budget(plan) // EVALUATIONS_A_CHILD)
    evolved = evolve([p for _, _, p in parents], others, problem, head, rng, children, plan["max_rules"])
    found = [("evolution", parents[at][1], p) for p, at in zip(evolved.programs, evolved.roots, strict=True)]
    return found, evolved.scored, evolved.same_text


def budget(plan: dict[str, Any]) -> int:
    """Programs that one unit may score."""
    return max(200, plan["evaluations"] // (2 * max(1, len(plan["heads"]))))


def collected(
    path: str, plan: dict[str, Any], heads: Sequence[int], found: Iterable[Found], scored: int, same_text: int = 0
) -> dict[str, Any]:
    """The unit's result: canonical forms within the plan's limits, each text and each behaviour once, the best on `fit` first."""
    import numpy as np

    from search.scoring import score as iou
    from search.scoring import signature
    from search.selection import shorter, within

    problem = workspace.problem(path, "fit")
    counts = {"made": same_text, "same_text": same_text, "same_behaviour": 0, "scored": scored}
    texts: dict[str, Found] = {}
    behaviours: set[bytes] = set()
    for proposer, root, program in found:
        counts["made"] += 1
        canonical = shorter(program)
        if str(canonical) in texts:
            counts["same_text"] += 1
            continue
        if not within(canonical, plan["max_rules"], plan["max_size"], plan["max_set"]):
            continue
        behaviour = signature(canonical, problem)
        if behaviour in behaviours:
            counts["same_behaviour"] += 1
            continue
        behaviours.add(behaviour)
        texts[str(canonical)] = (proposer, root, canonical)
    names = list(texts)
    means = problem.mean(iou([texts[t][2] for t in names], problem, list(heads))).mean(1) if names else np.zeros(0)
    order = np.argsort(-means, kind="stable")[:KEPT]
    candidates = []
    for i in order:
        proposer, root, program = texts[names[i]]
        fit = round(float(means[i]), 6)
        candidates.append({"program": names[i], "rules": len(program.rules()), "proposer": proposer, "root": root, "fit": fit})
    select = 0.0
    if candidates:  # for the progress report alone
        best = texts[candidates[0]["program"]][2]
        others = workspace.problem(path, "select")
        select = float(others.mean(iou([best], others, list(heads))).mean())
    workspace.settle(path, "fit", "select")
    return {"heads": list(heads), "candidates": candidates, "counts": counts, "select": round(select, 6)}


def best_of(units: Iterable[dict[str, Any]], parsimony: float, most: int) -> list[tuple[int, str, str]]:
    """(head, program, root): of each head's candidates the best by IoU on `fit` less its tokens' price, `most` for each."""
    from dsl import parse, size

    found = []
    for unit in units:
        ranked = sorted(unit["candidates"], key=lambda c: (-(c["fit"] - parsimony * size(parse(c["program"]))), c["program"]))
        found += [(unit["heads"][0], c["program"], c["root"]) for c in ranked[:most]]
    return found


def groups(pool: Pool, iou: np.ndarray, heads: Sequence[int], sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Heads that one program of a small cover serves best, for covers of the given sizes, each group once; iou (P, H).

    Each as {"heads", "starts"}: that program, and those that are best on the group.
    """
    import numpy as np

    from search.cover import greedy
    from search.swaps import improved

    found: dict[tuple[int, ...], dict[str, Any]] = {}
    for size in sizes:
        chosen = improved(iou, greedy(iou, size).chosen)
        serves = iou[list(chosen)].argmax(0)
        for i, p in enumerate(chosen):
            members = tuple(h for h, s in zip(heads, serves, strict=True) if s == i)
            if len(members) > 1 and members not in found:
                best = [int(b) for b in np.argsort(-iou[:, serves == i].mean(1), kind="stable")[:3]]
                starts = [(pool.programs[b], pool.roots[b]) for b in dict.fromkeys([p, *best])]
                found[members] = {"heads": list(members), "starts": starts}
    return list(found.values())
