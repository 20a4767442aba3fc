"""What an answer is wrapped in: fences, CDATA, reasoning, channels, markup. A program's own strings are never taken for a wrapping.

The difficulty is that a fence or a tag may stand within a program: a docstring with an example, a list of tokens. So programs
come first: where the text between an opening and a closing is a whole program, marks inside of it mean nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from search.llm.code import is_json, is_program

_OPENING = re.compile(
    r"(?P<before>^[ \t>]*|^.*?)(?P<mark>(?P<fence>`{3,}|~{3,})[ \t]*(?P<label>[\w+#.-]*)[^\n`]*$|<!\[CDATA\[)", re.M
)
_TRIES = 12  # closings of one opening that are looked at
_WORK = 2_000_000  # characters read in search of whole programs, in one text
_TRY = 500  # characters that a try costs at least
_REASON = r"(?:seed:|ant)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|inner_monologue|cot)"
_TAG = re.compile(
    rf"<\s*(?P<close>/?)\s*(?P<name>{_REASON})\b[^<>\n]*>|\[(?P<close2>/?)THINK\]|◁(?P<close3>/?)think▷"
    r"|<\|(?P<edge>begin|end)_of_thought\|>",
    re.I,
)
_CHANNEL = re.compile(r"<\|channel\|>\s*(?P<name>\w+)[^<\n]*<\|message\|>")
_MARKUP = re.compile(
    r"<\|\w+\|>(?:(?<=<\|start\|>)\w+)?|</?(?:s|start_of_turn|end_of_turn)>"
    r"|</?(?:answer|final_answer|final|output|response|result|solution|program|python|code|pre|file|files|artifact|document|function"
    r"|content|p|br|div|span|body|html)\b[^<>\n]*>",
    re.I,
)
_BESIDE = re.compile(r"[ \t]*(\w+\s*=\s|import\s|from\s|#|\n)")
_GLUED = re.compile(r"\A\s*analysis.*assistantfinal", re.S)  # channels whose marks were lost


@dataclass(frozen=True)
class Block:
    """A fenced part: text[start:end] with its fences. whole: the body is a program, or
    JSON; closed: the closing fence was there."""

    label: str
    body: str
    start: int
    end: int
    closed: bool
    whole: bool


def blocks(text: str) -> list[Block]:
    """Fenced parts and CDATA sections in their order, none within another."""
    if not _OPENING.search(text) or is_program(text, as_it_is=True):
        return []
    found, at, work, whole = [], 0, _Work(), programs(text)
    while (block := _next(text, at, work)) is not None:
        if (around := _around(block.start, whole)) and around[0] < block.start and not block.whole:
            at = around[1]  # a mark within code that has no fences
            continue
        found.append(block)
        at = max(block.end, at + 1)
    return found


class _Work:
    """How much may still be read in search of whole programs."""

    def __init__(self) -> None:
        self.left = _WORK

    def whole(self, body: str, complete: bool) -> bool:
        """complete: the body does not end amid a line."""
        self.left -= len(body) + _TRY
        return self.left > 0 and (is_json(body) or is_program(body) or (complete and _is_diff(body)))


def _is_diff(body: str) -> bool:
    lines = [line for line in body.split("\n") if line]
    return any(line[0] in "+-" for line in lines) and all(
        line[0] in "+-@ \\" or line.startswith(("diff ", "index ")) for line in lines
    )


def _openings(text: str, at: int) -> Iterator[re.Match[str]]:
    for m in _OPENING.finditer(text, at):
        # a fence amid a line opens a block only with a label: else it closes one
        if m["fence"] is None or m["label"] or not m["before"].strip(" \t>"):
            yield m


def _next(text: str, at: int, work: _Work) -> Block | None:
    opening = next(_openings(text, at), None)
    if opening is None:
        return None
    start, after = opening.start("mark"), opening.end("mark")
    label = (opening["label"] or "").lower()

    def block(end: int, stop: int, closed: bool, whole: bool) -> Block:
        body = text[after:end].strip("\n")
        if opening["before"].lstrip().startswith(">"):  # a quotation
            body = re.sub(r"^[ \t]*> ?", "", body, flags=re.M)
        return Block(label, body, start, stop, closed, whole)

    for tried, (end, stop) in enumerate(_closings(text, opening)):
        if tried == _TRIES:
            break
        if work.whole(block(end, stop, True, True).body, text[end - 1] == "\n" or text[end : end + 1] in " \t>"):
            return block(end, stop, True, True)
    rest = block(len(text), len(text), False, False).body
    if work.whole(rest, True):
        return block(len(text), len(text), False, True)
    fence = opening["fence"]
    strict = re.compile(rf"^[ \t>]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$" if fence else r"\]\]>", re.M)
    if closing := strict.search(text, after):
        return block(closing.start(), closing.end(), True, False)
    return block(len(text), len(text), False, False)


def _closings(text: str, opening: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Where a block may end: (end of the body, end of the closing). A fence in a comment is none."""
    after, fence = opening.end("mark"), opening["fence"]
    pattern = r"\]\]>" if fence is None else rf"{re.escape(fence[0])}{{{len(fence)},}}"
    for m in re.compile(pattern).finditer(text, after):
        line = text[text.rfind("\n", 0, m.start()) + 1 : m.start()]
        if not line.strip(" \t>"):
            yield m.start() - len(line), m.end()
        elif "#" not in line:
            yield m.start(), m.end()


def programs(text: str) -> list[tuple[int, int]]:
    """Spans of whole programs, fenced or not, wherever they stand: in drafts, too. JSON counts as one."""
    if is_json(text) or is_program(text, as_it_is=True):
        return [(0, len(text))]
    work, spans, at = _Work(), [], 0
    while work.left > 0 and (block := _next(text, at, work)) is not None:
        work.left -= block.end - block.start
        if block.whole:
            spans.append((block.start, block.end))
        # what opened without being a program may have swallowed one
        at = block.end if block.whole else text.find("\n", block.start) + 1 or len(text)
    at, fenced = 0, list(spans)
    for m in re.compile(r"^(?P<indent>[ \t]*)(?:async )?def \w+\(", re.M).finditer(text):
        if work.left <= 0:
            break
        if m.start() < at or _around(m.start(), fenced):
            continue
        margin = re.compile(rf"^(?!{m['indent']}[ \t])[ \t]*(?=[^\s)\]}}#])", re.M)
        for tried, end in enumerate([*(e.start() for e in margin.finditer(text, m.end())), len(text)]):
            if tried == _TRIES:
                break
            if work.whole(text[m.start() : end], False):
                spans.append((_begin(text, m.start(), at), end))
                at = end
                break
    return sorted(spans)


def _begin(text: str, at: int, least: int) -> int:
    """Where the imports and constants before a function begin."""
    while at > least:
        line = text.rfind("\n", 0, at - 1) + 1
        if line < least or not _BESIDE.match(text, line, at):
            break
        at = line
    return at


def outside_programs(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Matches outside of programs that are not quoted in prose."""
    if not pattern.search(text):
        return
    spans = programs(text)
    for m in pattern.finditer(text):
        before, after = text[max(0, m.start() - 1) : m.start()], text[m.end() : m.end() + 1]
        if before and before == after and before in "\"'`" and text[max(0, m.start() - 2) : m.start()] != "``":
            continue
        if _around(m.start(), spans) is None:
            yield m


def _around(at: int, spans: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The span that a place is in; spans are sorted and do not overlap."""
    i = bisect_right(spans, (at, len(spans) and spans[-1][1] + 1)) - 1
    return spans[i] if i >= 0 and at < spans[i][1] else None


def spoken(text: str) -> tuple[str, str]:
    """The answer proper, and the reasoning before, between and after it. Of an answer in channels the last one named final."""
    answer, reasoning = _without_reasoning(text)
    channels = list(outside_programs(_CHANNEL, answer))
    if channels:
        ends = [*(m.start() for m in channels[1:]), len(answer)]
        parts = [(m["name"].lower(), answer[m.end() : end]) for m, end in zip(channels, ends, strict=True)]
        final = [body for name, body in parts if name == "final"] or [body for name, body in parts if name != "analysis"]
        reasoning += "\n".join(body for name, body in parts if body not in final)
        answer = final[-1] if final else ""
    elif _GLUED.match(answer):
        thought, _, answer = answer.rpartition("assistantfinal")
        reasoning += thought
    return answer, reasoning


def _without_reasoning(text: str) -> tuple[str, str]:
    kept: list[str] = []
    thought: list[str] = []
    open_tags: list[str] = []
    at = 0
    for m in outside_programs(_TAG, text):
        (thought if open_tags else kept).append(text[at : m.start()])
        at = m.end()
        name = (m["name"] or "think").lower()
        closes = bool(m["close"] or m["close2"] or m["close3"] or m["edge"] == "end")
        if not closes:
            open_tags.append(name)
        elif name in open_tags:
            while open_tags.pop() != name:
                pass
        else:  # only the closing tag is there: all before it was reasoning
            thought += kept
            kept, open_tags = [], []
    (thought if open_tags else kept).append(text[at:])
    return "\n".join(kept), "\n".join(thought)


def unmarked(text: str) -> str:
    """The text without markup around programs, each mark a line end."""
    parts, at = [], 0
    for m in outside_programs(_MARKUP, text):
        parts.append(text[at : m.start()])
        at = m.end()
    return "\n".join([*parts, text[at:]]) if parts else text
