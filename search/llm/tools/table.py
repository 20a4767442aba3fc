"""The tools by name: what each is for, what it takes, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from search.llm.tools.columns import columns
from search.llm.tools.concepts import concepts
from search.llm.tools.desk import Arguments, BadArgument, Desk
from search.llm.tools.others import others
from search.llm.tools.queries import queries
from search.llm.tools.rows import rows
from search.llm.tools.texts import texts
from search.llm.tools.trying import tried

TRY, CONCEPTS = "try", "concepts"
D = TypeVar("D", bound=Desk)
LONGEST = 6000  # characters of what a tool says


@dataclass(frozen=True)
class Tool:
    """parameters: JSON schema by name."""

    name: str
    meaning: str
    parameters: Mapping[str, Mapping[str, Any]]
    run: Callable[[Any, Arguments], tuple[Any, str]]  # the desk afterwards, and what is said
    required: tuple[str, ...] = ()


def _looks(look: Callable[[Desk, Arguments], str]) -> Callable[[Desk, Arguments], tuple[Desk, str]]:
    """A tool that changes nothing."""
    return lambda desk, arguments: (desk, look(desk, arguments))


_PROGRAM = {"program": {"type": "integer", "description": "number of a tried program; by default the last"}}
_DOMAIN = {"domain": {"type": "string", "description": "one kind of text; by default all"}}

TOOLS: dict[str, Tool] = {
    t.name: t
    for t in (
        Tool(
            TRY,
            "fit and score programs: merit, IoU by kind of text, what each rule adds",
            {"programs": {"type": "array", "items": {"type": "string"}, "description": "whole programs, at most 4"}},
            tried,
            ("programs",),
        ),
        Tool(
            "rows",
            "where queries look, head beside program: the worst rows, or those of a text",
            {
                "worst": {"type": "integer", "description": "how many of the worst rows (8)"},
                "text": {"type": "integer", "description": "a text by number, instead"},
                "queries": {"type": "string", "description": 'positions in that text, such as "10-20"'},
                **_DOMAIN,
                **_PROGRAM,
            },
            _looks(rows),
        ),
        Tool("columns", "key tokens that get too little or too much weight", {**_DOMAIN, **_PROGRAM}, _looks(columns)),
        Tool(
            "queries",
            "weight by class and token of the query: start, itself, distances, classes of keys",
            {**_DOMAIN, **_PROGRAM},
            _looks(queries),
        ),
        Tool(
            "texts",
            "IoU of each text, worst first",
            {"most": {"type": "integer", "description": "how many (12)"}, **_PROGRAM},
            _looks(texts),
        ),
        Tool("others", "programs of other heads, refitted to this one; heads that look alike", {}, _looks(others)),
        Tool(
            CONCEPTS,
            "the concepts at hand and the tokens they hold; programs may use them by name, those of later heads too",
            {
                "define": {"type": "string", "description": "lines such as: concept stop(p) = sentence_end(p) or newline(p)"},
                "forget": {"type": "string", "description": "names"},
            },
            concepts,
        ),
    )
}  # fmt: skip


def run(desk: D, name: str, arguments: Arguments, tools: Mapping[str, Tool] = TOOLS) -> tuple[D, str]:
    """The desk afterwards, and what the tool says. What is wrong with a call is said, too; nothing is raised."""
    tool = tools.get(name)
    if tool is None:
        close = get_close_matches(name, tools, 1)
        return desk, f"There is no tool {name!r}" + (
            f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(tools)}."
        )
    unknown = [a for a in arguments if a not in tool.parameters and not (name == TRY and a == "program")]
    if unknown:
        known = ", ".join(tool.parameters) or "nothing"
        return desk, f"{name} takes no {unknown[0]!r}: it takes {known}."
    try:
        desk, text = tool.run(desk, arguments)
    except BadArgument as problem:
        return desk, f"{name}: {problem}"
    return desk, text if len(text) <= LONGEST else text[:LONGEST] + "\n… cut"


def schemas(tools: Mapping[str, Tool] = TOOLS) -> list[dict[str, Any]]:
    """The tools as OpenAI-style function definitions, which litellm passes on to every provider that knows them."""
    return [
        {
            "type": "function",
            "function": {
                "name": t.name,
                "description": t.meaning,
                "parameters": {"type": "object", "properties": dict(t.parameters), "required": list(t.required)},
            },
        }
        for t in tools.values()
    ]
