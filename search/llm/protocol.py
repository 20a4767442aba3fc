"""Tool calls in answers, and what tools say in messages: natively, where the model's provider has tools, or as plain text.

In plain text a call is a fenced block whose label is the tool's name: programs in the body of `try`, `name: value` lines in others.
A block that holds a program without such a label is tried, too. Both protocols carry the same content.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.llm.answers import read_answer
from search.llm.backend import Answer, Messages, ToolCall
from search.llm.code import json_data
from search.llm.envelopes import Block, blocks, spoken
from search.llm.tools.table import CONCEPTS, TOOLS, TRY, Tool, schemas

NATIVE, TEXT = "native", "text"
_BETWEEN = re.compile(r"^\s*-{3,}\s*$", re.M)  # programs in the body of one `try`
_ARGUMENT = re.compile(r"^\s*[-*]?\s*(\w+)\s*[:= ]\s*(.+?)\s*$")


@dataclass(frozen=True)
class Call:
    """One use of a tool. identity: the provider's name for a native call; problem: why it cannot be run."""

    name: str
    arguments: dict[str, Any]
    identity: str = ""
    problem: str | None = None


def tools_of(protocol: str, tools: Mapping[str, Tool] = TOOLS) -> str:
    """The definitions that go with a request, as JSON text; "" in plain text."""
    return json.dumps(schemas(tools), separators=(",", ":")) if protocol == NATIVE else ""


def calls(answer: Answer, protocol: str, tools: Mapping[str, Tool] = TOOLS) -> list[Call]:
    """What an answer asks for, in its order; [] where it asks for nothing: the conversation is over."""
    if protocol == NATIVE and answer.calls:
        return [_native(c) for c in answer.calls]
    said = spoken(answer.text)[0]
    found: list[Call] = []
    loose: list[Block] = []
    for block in blocks(said):
        if block.label in tools:
            found.append(_written(block))
        elif block.body.strip():
            loose.append(block)
    if found:
        programs = [b.body for b in loose if b.whole]
        return [*found, Call(TRY, {"programs": programs})] if programs else found
    programs = [c.source for c in read_answer(answer.text, cut_off=answer.finish == "length") if c.source]
    return [Call(TRY, {"programs": programs})] if programs else []


def _native(call: ToolCall) -> Call:
    data = json_data(call.arguments or "{}")
    if not isinstance(data, dict):
        return Call(call.name, {}, call.identity, f"{call.name}: the arguments are no JSON object")
    return Call(call.name, data, call.identity)


def _written(block: Block) -> Call:
    body = block.body.strip()
    data = json_data(body)
    if isinstance(data, dict):
        return Call(block.label, data)
    if block.label == TRY:
        return Call(TRY, {"programs": [part.strip("\n") for part in _BETWEEN.split(block.body) if part.strip()]})
    arguments: dict[str, Any] = {}
    if block.label == CONCEPTS and body.startswith("concept "):
        return Call(CONCEPTS, {"define": body})
    for line in re.split(r"[\n;]|,(?=\s*\w+\s*[:=])", body):
        if not line.strip():
            continue
        if not (m := _ARGUMENT.match(line)):
            return Call(block.label, {}, problem=f"{block.label}: {line.strip()!r} is no `name: value`")
        arguments[m[1]] = m[2].strip("\"'`")
    return Call(block.label, arguments)


def said(answer: Answer, protocol: str) -> tuple[str, ...]:
    """The assistant's message, as it goes back to the model; reasoning is left out."""
    text = spoken(answer.text)[0].strip()
    if protocol == NATIVE and answer.calls:
        native = [
            {"id": c.identity, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in answer.calls
        ]
        return "assistant", text, json.dumps({"tool_calls": native}, separators=(",", ":"))
    return "assistant", text or answer.text.strip()


def results(done: Sequence[tuple[Call, str]], note: str) -> Messages:
    """What the tools said to the calls, and a note of ours at the end."""
    if done and done[-1][0].identity:
        messages = [("tool", text, json.dumps({"tool_call_id": c.identity})) for c, text in done]
        role, text, extra = messages[-1]
        return (*messages[:-1], (role, f"{text}\n\n{note}", extra))
    parts = [f"[{c.name}]\n{text}" for c, text in done]
    return (("user", "\n\n".join([*parts, note])),)


def manual(protocol: str, tools: Mapping[str, Tool] = TOOLS) -> str:
    """How tools are used, for the prompt."""
    if protocol == NATIVE:
        return "Use the tools; several calls at once are welcome. Try early and often: constants are fitted for you."
    lines = [
        "To use a tool write a fenced block labelled with its name; several blocks in one answer are welcome. The answer follows."
    ]
    for t in tools.values():
        takes = "; ".join(f"{name}: {p['description']}" for name, p in t.parameters.items() if name != "programs")
        lines.append(f"- {t.name}: {t.meaning}" + (f" ({takes})" if takes else ""))
    lines.append(
        "For example\n```try\nwhen dist == 1 add 0.6\nwhen k == 0 add 0.3\n---\nadd exp(-0.3 * dist)\n```\n"
        "(two programs, parted by ---; arguments of other tools are `name: value` lines)\n"
        "Try early and often: constants are fitted for you. An answer without a block ends the conversation."
    )
    return "\n".join(lines)
