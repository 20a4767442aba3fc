"""The guards that induction chooses from: relations of two positions, classes of positions, and sets of tokens.

Every entry is an expression of the language, evaluated by the language's own evaluator, so that a printed program means exactly
what was scored. The entries derive from the texts: which markers, suffixes and similarities occur is read off them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dsl import parse_expression
from dsl.evaluator import value
from dsl.nodes import TRUE, Call, Expr, Member, Not, all_of
from search.guards import EVERY, OTHERS, TOKENS
from search.loglinear import features
from search.problem import Problem

SENTENCE_ENDS = frozenset(".!?。！？")
RARE = 4  # tokens that occur less often in the texts are reachable through their classes only
MOST_TOKENS = 240
POSITIONS = {-1: "{} - 1", 0: "{}", 1: "{} + 1"}
VIEWS = ((0, 0), (0, -1), (0, 1), (-1, 0))  # shifts of the query and of the key whose conditions are scored together


@dataclass(frozen=True)
class Side:
    """A condition on one position: q or k shifted by `shift`; label as in search.guards, tokens where it is TOKENS or OTHERS."""

    shift: int
    label: int = EVERY
    tokens: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Guard:
    """relation and condition on the query and condition on the key; relation 0 holds everywhere."""

    relation: int
    query: Side = Side(0)
    key: Side = Side(0)

    @property
    def tokens(self) -> int:
        return len(self.query.tokens) + len(self.key.tokens)

    @property
    def conditions(self) -> int:
        return (self.relation != 0) + (self.query.label != EVERY) + (self.key.label != EVERY)


class Bank:
    """Relations (cell lists), categories of positions and their classes, for the texts of one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        common = Counter(t for text in problem.texts_given for t in text.tokens)
        self.common = common
        frequent = [t for t, c in common.most_common(MOST_TOKENS) if c >= RARE]
        self.ends = sorted(t for t in common if t.strip() in SENTENCE_ENDS)
        candidates = list(self._classes())
        at = {s: [problem.pack_rows(self._at(c, s)) for c in candidates] for s in POSITIONS}
        keep = [j for j, holds in enumerate(at[0]) if _telling(holds, [at[0][i] for i in range(j)])]
        self.classes = [candidates[j] for j in keep]
        token = {t: i for i, t in enumerate(frequent)}
        tables = [
            self._categories(s, np.array([at[s][j] for j in keep]).reshape(len(keep), len(problem.position)), token)
            for s in POSITIONS
        ]
        self.width = max(len(names) for _, _, names in tables)
        self.category: dict[int, np.ndarray] = {}  # shift -> (N) category of each position's neighbour
        self.members: dict[int, np.ndarray] = {}  # shift -> (classes, width) float32
        self.names: dict[int, list[str | None]] = {}  # shift -> token of each category, None for the rare
        for shift, (ids, members, names) in zip(POSITIONS, tables, strict=True):
            self.category[shift] = ids
            self.members[shift] = np.zeros((len(keep), self.width), np.float32)
            self.members[shift][:, : len(names)] = members
            self.names[shift] = names + [None] * (self.width - len(names))
        self.is_token = {s: np.array([n is not None for n in names]) for s, names in self.names.items()}
        self._relations()
        self.jobs = [(0, 0, r) for r in range(len(self.relations))]
        wide = [r for r, text in enumerate(self.names_of_relations) if text in ("true", "dist > 0")]
        self.jobs += [(q, k, r) for q, k in VIEWS[1:] for r in wide]
        self.features = features(problem)
        problem.batch.forget()  # the guards' values are in cell lists now

    def expression(self, guard: Guard) -> Expr | None:
        """The guard in the language; None for no condition at all."""
        parts: list[Expr] = []
        if self.relations[guard.relation] != TRUE:
            parts.append(self.relations[guard.relation])
        for side, letter in ((guard.query, "q"), (guard.key, "k")):
            if side.label == EVERY:
                continue
            where = POSITIONS[side.shift].format(letter)
            if side.label in (TOKENS, OTHERS):
                member = Member(Call("text", (parse_expression(where),)), tuple(sorted(side.tokens)))
                parts.append(member if side.label == TOKENS else Not(member))
                continue
            holds = parse_expression(self.classes[abs(side.label) - 1].format(where))
            parts.append(holds if side.label > 0 else Not(holds))
        return all_of(parts)

    def inside(self, side: Side) -> np.ndarray | None:
        """(width) bool: the categories that a side's condition selects; None for all."""
        if side.label == EVERY:
            return None
        if side.label in (TOKENS, OTHERS):
            return np.array([(n in side.tokens) == (side.label == TOKENS) for n in self.names[side.shift]])
        return (self.members[side.shift][abs(side.label) - 1] > 0) == (side.label > 0)

    def cells(self, guard: Guard) -> np.ndarray:
        """The cells where the guard holds, ascending."""
        found = self.cells_of[guard.relation]
        for side, at in ((guard.query, self.problem.q), (guard.key, self.problem.k)):
            inside = self.inside(side)
            if inside is not None:
                found = found[inside[self.category[side.shift]][at[found]]]
        return found

    def _at(self, template: str, shift: int) -> np.ndarray:
        return value(parse_expression(template.format(POSITIONS[shift].format("k"))), self.problem.batch)

    def _classes(self) -> Iterator[str]:
        yield from ("word_start({})", "punctuation({})", "newline({})", "special({})", "istitle({})", "isalpha({})")
        if self.ends:
            yield "text({}) in " + _set(self.ends).replace("{", "{{").replace("}", "}}")
        if any(t.startswith(" ") for t in self.common):
            yield 'startswith({}, " ")'
        yield from (f"length({{}}) <= {n}" for n in (1, 2, 3, 4, 5, 6))
        endings: Counter[str] = Counter()
        for token, count in self.common.items():
            for n in (1, 2, 3):
                if len(token) > n + 1 and token[-n:].isalpha():
                    endings[token[-n:]] += count * n
        yield from (f'endswith({{}}, "{ending}")' for ending, _ in endings.most_common(6))

    def _categories(self, shift: int, holds: np.ndarray, token: dict[str, int]) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
        """Categories (N) of the positions' neighbours: token, if frequent, and classes (J, N). With members (J, V) and names."""
        signature = (holds.astype(np.int64) << np.arange(len(holds))[:, None]).sum(0)
        ids = np.empty(holds.shape[1], np.int64)
        known: dict[tuple[int, int], int] = {}
        names: list[str | None] = []
        example: list[int] = []
        flat = [
            text.tokens[i + shift] if 0 <= i + shift < len(text) else None
            for text in self.problem.texts_given
            for i in range(len(text))
        ]
        for i, name in enumerate(flat):
            code = -1 if name is None else token.get(name, -1)
            at = known.setdefault((code, int(signature[i])), len(known))
            if at == len(names):
                names.append(name if code >= 0 else None)
                example.append(i)
            ids[i] = at
        return ids.astype(np.int32), holds[:, example].astype(np.float32), names

    def _relations(self) -> None:
        texts = ["true", *_relation_texts(self.problem, [c for c in self.classes if "{" in c], self.ends)]
        self.relations: list[Expr] = []
        self.names_of_relations: list[str] = []
        self.cells_of: list[np.ndarray] = []
        seen: set[bytes] = set()
        for text in texts:
            expression = parse_expression(text)
            holds = self.problem.pack(value(expression, self.problem.batch))
            if not holds.any() or (mark := np.packbits(holds).tobytes()) in seen:
                continue
            seen.add(mark)
            self.relations.append(expression)
            self.names_of_relations.append(text)
            self.cells_of.append(np.flatnonzero(holds).astype(np.int32))


def _set(tokens: list[str]) -> str:
    return str(Member(Call("text", (parse_expression("k"),)), tuple(tokens))).split(" in ", 1)[1]


def _telling(holds: np.ndarray, others: list[np.ndarray]) -> bool:
    return 0 < holds.sum() < len(holds) and not any(np.array_equal(holds, o) for o in others)


def _relation_texts(problem: Problem, classes: list[str], ends: list[str]) -> Iterator[str]:
    causal = problem.causal
    yield from (f"dist == {d}" for d in range(6))
    yield "dist > 0"
    if causal:
        yield from (f"dist <= {d}" for d in (1, 2, 3, 5, 8, 12, 16, 24, 32, 48))
    else:
        yield from (f"dist == -{d}" for d in range(1, 5))
        yield "dist < 0"
        yield from (f"abs(dist) <= {d}" for d in (1, 2, 3, 5, 8, 16, 32))
        yield from (f"dist > 0 and dist <= {d}" for d in (2, 4, 8, 16))
        yield from (f"dist < 0 and dist >= -{d}" for d in (2, 4, 8, 16))
    others = "dist > 0" if causal else "k != q"
    yield from ("same(text)", f"same(text) and {others}", "text(k - 1) == text(q)", "text(k + 1) == text(q)")
    yield from ("text(k) == text(q - 1)", f"text(k - 1) == text(q - 1) and {others}")
    yield "same(text) and text(k - 1) == text(q - 1) and " + others
    yield from ("k == nearest(p < q: text(p) == text(q))", "k - 1 == nearest(p < q: text(p) == text(q))")
    if not causal:
        yield from ("text(k) == text(q + 1)", f"text(k + 1) == text(q + 1) and {others}")
    for gate, counted in (("word_start({})", "k + 1..q"), ("punctuation({})", "k..q - 1"), (None, "k..q - 1")):
        if gate is None and not ends:
            continue
        holds = f"text(p) in {_set(ends)}" if gate is None else gate.format("p")
        reverse = "q + 1..k" if counted == "k + 1..q" else "q..k - 1"
        if causal:
            yield f"count(p in {counted}: {holds}) == 0"
            yield f"count(p in {counted}: {holds}) == 0 and dist > 0"
        else:
            both = "min(q, k) + 1..max(q, k)" if counted == "k + 1..q" else "min(q, k)..max(q, k) - 1"
            yield f"count(p in {both}: {holds}) == 0"
            yield f"count(p in {both}: {holds}) == 0 and k != q"
        yield from (f"count(p in {counted}: {holds}) == {j}" for j in (1, 2, 3))
        if not causal:
            yield from (f"count(p in {reverse}: {holds}) == {j}" for j in (1, 2))
    marks = [c for c in classes if not c.startswith(("length", "endswith"))]
    for mark in marks:
        yield f"k == nearest(p < q: {mark.format('p')})"
        if not causal:
            yield f"k == first(p > q: {mark.format('p')})"
    yield "k == nearest(p <= q: word_start(p))"
    similarity = problem.pack(value(parse_expression("similarity(q, k)"), problem.batch))
    apart = similarity[problem.q != problem.k]
    for share in (0.85, 0.95, 0.98, 0.99) if apart.size else ():
        yield f"similarity(q, k) > {np.quantile(apart, share):.2f} and {others}"
    single = [f"k == {d}" for d in range(3)] + [f"k <= {d}" for d in (4, 8, 16, 32)]
    if not causal:
        single += ["k == n - 1", "k == n - 2"]
    single += ["not any(p < k: text(p) == text(k))", "word_start(k + 1)", "word_start(k) and word_start(k + 1)"]
    single += [mark.format(f"k {sign} 1") for mark in marks for sign in "-+"]
    for condition in single:
        yield condition
        if not condition.startswith("k == "):
            yield f"{condition} and {others}"
    yield "not any(p < q: text(p) == text(q))"
