"""The one thing a language model must do here: messages in, text and usage out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from search.llm.scrub import one_line

Messages = tuple[tuple[str, ...], ...]  # (role, content), or (role, content, JSON of what else the message has: tool calls)


@dataclass(frozen=True)
class Request:
    """One question. Equal keys are the same question: whoever has the answer needs not ask again."""

    model: str
    messages: Messages
    parameters: tuple[tuple[str, Any], ...]  # sorted by name; values are JSON data
    sample: int  # distinguishes repeated questions of the same words
    head: tuple[int, int] = field(compare=False)
    purpose: str = field(default="propose", compare=False)  # propose, refine, correct, explain or simulate
    tools: str = ""  # definitions of tools as JSON text

    @property
    def key(self) -> str:
        """SHA-256 of model, messages, parameters, sample number and tools."""
        data = [self.model, self.messages, self.parameters, self.sample, *([self.tools] if self.tools else [])]
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:40]


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int

    @property
    def total(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class ToolCall:
    """A native call of a tool; arguments are JSON text, as the model wrote it."""

    identity: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """What came back. cost_usd is None where no price is known; `estimated` where the server reported no usage."""

    text: str
    usage: Usage
    cost_usd: float | None = None
    finish: str = "stop"  # "length": cut off at max_tokens
    estimated: bool = False
    calls: tuple[ToolCall, ...] = ()
    moved: bool = False  # recorded at this place of the conversation, for a question of other words


class Backend(Protocol):
    """May be called from several threads at once."""

    def complete(self, request: Request) -> Answer:
        """Raises BackendError and nothing else."""
        ...


class BackendError(Exception):
    """A call that brought no answer. `kind` is a key of KINDS; the message is scrubbed and one line long."""

    def __init__(self, kind: str, message: str, retry_after: float | None = None) -> None:
        self.kind, self.retry_after = kind, retry_after
        super().__init__(one_line(message))


@dataclass(frozen=True)
class Kind:
    meaning: str
    again: bool = False  # worth another try after a pause
    final: bool = False  # the model will not answer any other question either
    another_time: bool = True  # the same question may be answered in another run


KINDS: dict[str, Kind] = {
    "key": Kind("wrong or missing key", final=True),
    "model": Kind("unknown model", final=True),
    "quota": Kind("no credit left", final=True),
    "connection": Kind("no connection", again=True, final=True),
    "rate": Kind("rate limit", again=True),
    "server": Kind("server error", again=True),
    "timeout": Kind("no answer in time"),
    "html": Kind("an HTML page instead of an answer"),
    "context": Kind("prompt too long for the model", another_time=False),
    "refusal": Kind("the provider refused to answer", another_time=False),
    "empty": Kind("empty answer"),
    "request": Kind("request not accepted"),
    "garbage": Kind("not an answer of the protocol"),
    "ended": Kind("ended by us"),
    "not recorded": Kind("no recorded answer", another_time=False),
}
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds


def with_retries(backend: Backend, request: Request, retries: int, sleep: Callable[[float], None]) -> Answer:
    """Asks until there is an answer, with pauses that double, or as long as the server asks for (Retry-After).

    Raises the last BackendError. The pauses vary with the request, so that calls that failed together do not return together.
    """
    jitter = int(request.key[:4], 16) / 0xFFFF  # 0..1, the same in every run
    for attempt in range(retries + 1):
        try:
            return backend.complete(request)
        except BackendError as e:
            wait = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * (1 + jitter / 4)
            if e.retry_after is not None:
                wait = max(e.retry_after, 0.0)
            if not KINDS[e.kind].again or attempt == retries:
                raise
            if wait > 2 * LONGEST_PAUSE:
                raise BackendError(e.kind, f"{e}; the server asks to wait {wait:.0f} s, which is too long") from None
            sleep(wait)
    raise AssertionError("unreachable")
