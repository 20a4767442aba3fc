"""Rounds of a language model with tools: it tries and looks, we answer, until it is done, the rounds are used up or the budget is.

Tools are functions of the texts and of what was said, so a conversation that was cut goes on from the stored answers, byte for
byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from search.llm.ask import Draft, Outcome
from search.llm.backend import KINDS, Answer, BackendError, Messages
from search.llm.protocol import NATIVE, calls, results, said, tools_of
from search.llm.tools.desk import Desk
from search.llm.tools.table import TOOLS, Tool, run

MOST_CALLS = 6  # tool calls of one answer that are run
Ask = Callable[[Sequence[Draft]], Sequence[Outcome]]


@dataclass(frozen=True, eq=False)
class Conversation:
    """One head's rounds so far. ended: why it is over, "" while it is not; keys: of the requests, one a round."""

    head: tuple[int, int]
    desk: Desk
    messages: Messages
    sample: int = 0
    model: str | None = None
    keys: tuple[str, ...] = ()
    asked_at: tuple[int, ...] = ()  # the round of each tried program
    ended: str = ""


class ToolsRefused(Exception):
    """The server takes no native tool calls; nothing of the conversations has been answered yet."""


def converse(
    begun: Sequence[Conversation], rounds: int, protocol: str, ask: Ask, tools: Mapping[str, Tool] = TOOLS
) -> list[Conversation]:
    """The conversations at their end, in their order. All of them go on side by side, one round after the other.

    Raises ToolsRefused where the very first native request is not accepted for its tools.
    """
    states = list(begun)
    defined = tools_of(protocol, tools)
    for number in range(rounds):
        open_ = [i for i, c in enumerate(states) if not c.ended]
        drafts = [Draft(states[i].messages, states[i].head, states[i].sample, "explain", states[i].model, defined) for i in open_]
        if not drafts:
            break
        first = ask(drafts[:1]) if number == 0 and protocol == NATIVE else ()
        if first and isinstance(first[0].result, BackendError) and refuses_tools(first[0].result):
            raise ToolsRefused
        for i, outcome in zip(open_, [*first, *ask(drafts[len(first) :])], strict=True):
            states[i] = _after(states[i], outcome, rounds - number - 1, protocol, tools)
    return [c if c.ended else replace(c, ended="all rounds were used") for c in states]


def refuses_tools(error: BackendError) -> bool:
    """Whether a request failed because it came with tools: servers say so in the most different ways."""
    return error.kind in ("request", "model") and bool(re.search(r"\b(tool|function)", str(error), re.I))


def _after(c: Conversation, outcome: Outcome, left: int, protocol: str, tools: Mapping[str, Tool]) -> Conversation:
    """The conversation after one answer and what the tools say to it."""
    if outcome.request is None or outcome.result is None:
        return replace(c, ended="cut: the budget is spent, no model is left, or the time is over")
    c = replace(c, model=outcome.request.model, keys=(*c.keys, outcome.request.key))
    if not isinstance(outcome.result, Answer):
        return replace(c, ended=f"cut: {KINDS[outcome.result.kind].meaning}")
    wanted = calls(outcome.result, protocol, tools)
    desk, done = c.desk, []
    for n, call in enumerate(wanted):
        if call.problem is not None:
            done.append((call, call.problem))
        elif n >= MOST_CALLS:
            done.append((call, f"not run: at most {MOST_CALLS} calls in one answer"))
        else:
            desk, text = run(desk, call.name, call.arguments, tools)
            done.append((call, text))
    tried_now = len(desk.tried) - len(c.desk.tried)
    c = replace(c, desk=desk, asked_at=(*c.asked_at, *([len(c.keys) - 1] * tried_now)))
    if not wanted:
        return replace(c, ended="the model was done")
    note = f"{left} round{'s' if left != 1 else ''} left." if left else "No round is left."
    return replace(c, messages=(*c.messages, said(outcome.result, protocol), *results(done, note)))
