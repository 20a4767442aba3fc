"""The course of a search for one head: where it begins, which moves follow which; what no longer pays is taken back.

Rules of all forms compete by what they gain per token of text, up to the length that is shown; then at a lower price beyond it;
then the long program is cut back, so that there is a program of every length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dsl import parse_expression
from search.forms.board import Board
from search.forms.fitting import score
from search.forms.growth import Found, Growth
from search.forms.moves.adding import grow
from search.forms.moves.beginning import rebase
from search.forms.moves.joining import widen
from search.forms.moves.removing import prune, reconsider, shorten
from search.forms.moves.values import bend, first_features, rebend, split, swap, weigh
from search.forms.shapes import RuleShape, Shape, size

SHORTEST = 24  # tokens at which a long program is no longer cut back


def bases(board: Board) -> Iterator[Shape]:
    """Where every search begins: a decay, a power, a uniform row; beside it the start of the text."""
    start = parse_expression("start(k)")
    for feature, beta in first_features(board):
        rule = RuleShape("add", (), (), feature)
        yield Shape((rule,), ((0.0,),), (beta,))
        for op, theta in (("add", 1.0), ("share", 0.0)):
            yield Shape((rule, RuleShape(op, (start,))), ((0.0,), (theta,)), (beta, 0.0))


def begin(growth: Growth, starts: Sequence[Shape]) -> None:
    """Takes the start that is worth most after its constants are fitted."""
    options = []
    for shape in starts:
        iou, shape = growth.settle(shape, growth.effort.steps)
        options.append((growth.worth(iou, shape, growth.effort.price), iou, shape))
    _, iou, shape = max(options, key=lambda x: x[0])
    growth.take(iou, shape)


def nearest(growth: Growth, shapes: Sequence[Shape], most: int) -> list[Shape]:
    """Of other heads' shapes, those that fit this head best as they are."""
    scores = [score(growth.board, s, growth.targets) for s in shapes]
    growth.evaluations += len(shapes)
    return [shapes[i] for i in np.argsort(-np.array(scores), kind="stable")[:most]]


def grown(growth: Growth) -> list[Found]:
    """Programs from short to long, each better on the board than all shorter ones: grown to the shown length and beyond, then cut
    back rule by rule."""
    effort = growth.effort
    front: dict[int, Found] = {}

    def note() -> None:
        s = size(growth.shape)
        if s not in front or front[s].iou < growth.iou:
            front[s] = Found(growth.shape, growth.iou, s)

    def pruned(price: float) -> None:
        note()
        while growth.affordable() and prune(growth, price):
            note()

    pruned(effort.price)
    _extend(growth, effort.price, effort.shown, note, careful=True)
    if growth.affordable() and swap(growth, effort.price):
        note()
    reconsider(growth, effort.price, effort.shown)
    pruned(effort.price)
    if effort.most > effort.shown:
        growth.list_tokens()
        _extend(growth, effort.last_price, effort.most, note, careful=False)
        while size(growth.shape) > SHORTEST and growth.affordable() and shorten(growth):
            note()
    best: list[Found] = []
    for s in sorted(front):
        if not best or front[s].iou > best[-1].iou:
            best.append(front[s])
    return best


def _extend(growth: Growth, price: float, limit: int, note: Callable[[], None], careful: bool) -> None:
    """Grows until nothing is worth its tokens. careful: every move is tried after every rule."""
    while growth.affordable():
        changed = grow(growth, price, limit)
        count = len(growth.shape.rules)
        moved = False
        for move in _moves(growth, price, limit, changed, careful):
            if not growth.affordable():
                break
            moved |= move()
        note()
        if not careful and count % 3 == 0:
            growth.list_tokens()
        while (careful or count % 4 == 0) and growth.affordable() and prune(growth, price):
            note()
        if changed or moved or (careful and growth.settled is None and growth.affordable() and rebase(growth, price, limit)):
            continue
        if not (careful and growth.effort.lists and growth.list_tokens()):
            return
        careful = False  # what follows lists tokens, where they are worth it


def _moves(growth: Growth, price: float, limit: int, changed: bool, careful: bool) -> Iterator[Callable[[], bool]]:
    """What is tried after a new rule, or where there was none."""
    count = len(growth.shape.rules)
    if changed and careful:
        yield lambda: swap(growth, price, [count - 1])
    if careful or not changed or count % 3 == 0:
        yield lambda: split(growth, price, limit)
    if careful and (not changed or count in (2, 3)):
        yield lambda: bend(growth, price, limit, range(count))
        yield lambda: rebend(growth, price, limit)
        yield lambda: weigh(growth, price, limit)
        yield lambda: widen(growth, price, limit)
    elif changed:
        yield lambda: bend(growth, price, limit, [count - 1])
