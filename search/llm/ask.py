"""Sends requests: several at once, within the budget, and with the same outcome whatever the order in which answers arrive.

Requests go out in waves of fixed size. What happens next (is there budget left, is a model worth asking) is decided between
waves, when the answers of all earlier requests are in, so that it does not depend on the number of calls at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from search.llm.backend import KINDS, Answer, Backend, BackendError, Messages, Request, with_retries
from search.llm.budget import Ledger
from search.llm.prompt import estimate_tokens
from search.llm.settings import MOST_AT_ONCE, LLMSettings, Model
from search.llm.store import AnswerStore

WAVE = MOST_AT_ONCE
GIVE_UP = 5  # failures in a row after which a model is not asked again
_HARMLESS = frozenset({"context", "refusal", "ended", "not recorded"})  # say nothing about other requests
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Draft:
    """A request whose model is chosen when it is sent (or fixed, for a correction)."""

    messages: Messages
    head: tuple[int, int]
    sample: int
    purpose: str
    model: str | None = None
    tools: str = ""


@dataclass(frozen=True)
class Outcome:
    """result is None where nothing was sent: the budget is spent, no model is left, or the campaign stops."""

    request: Request | None
    result: Answer | BackendError | None


class Asker:
    """Answers by request: from the store where it has them, from the backend else. Not for several threads."""

    def __init__(
        self,
        settings: LLMSettings,
        backend: Backend,
        store: AnswerStore,
        ledger: Ledger,
        sleep: Callable[[float], None],
        say: Callable[[str], None],
    ) -> None:
        self.settings, self.backend, self.store, self.ledger = settings, backend, store, ledger
        self.sleep, self.say = sleep, say
        self.live: list[Model] = list(settings.models)
        self.stuck = False  # nothing of the last drafts could be sent
        self.asked = 0  # calls of this process; the others were answered from the store
        self._streak: dict[str, int] = {}
        self._known: set[str] = set()  # models that have answered
        self._said: set[tuple[str, str]] = set()

    def ask(self, drafts: Sequence[Draft], stop: Callable[[], bool] = lambda: False) -> list[Outcome]:
        """One outcome per draft, in their order."""
        outcomes: list[Outcome] = []
        denied = self.ledger.denied
        while len(outcomes) < len(drafts):
            wave = [] if stop() else self._wave(drafts[len(outcomes) :])
            if not wave:
                # the next draft cannot be sent now; later ones may be smaller or stored
                self.ledger.denied += 1
                outcomes.append(Outcome(None, None))
                continue
            for request, result in zip(wave, self._send(wave), strict=True):
                self._commit(request, result)
                outcomes.append(Outcome(request, result))
        if drafts and drafts[0].model is None:  # a fixed model may be gone while others are left
            self.stuck = self.ledger.denied - denied == len(drafts)
        return outcomes

    def state(self) -> dict[str, Any]:
        """Which models are still asked, as JSON data."""
        return {"live": [m.name for m in self.live], "known": sorted(self._known), "streak": self._streak}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.live = [m for m in self.settings.models if m.name in state["live"]]
        self._known, self._streak = set(state["known"]), dict(state["streak"])

    def _wave(self, drafts: Sequence[Draft]) -> list[Request]:
        wave: list[Request] = []
        for draft in drafts[:WAVE]:
            request = self._request(draft)
            if request is None:
                break
            probe = request.model not in self._known
            if probe and wave:
                break
            if self.store.get(request) is None:  # else it is paid already, and used whatever the budget says
                tokens = sum(estimate_tokens(text) for message in request.messages for text in message[1:])
                if not self.ledger.fits(request, tokens, wave):
                    break
            wave.append(request)
            if probe:
                break
        return wave

    def _request(self, draft: Draft) -> Request | None:
        names = [m.name for m in self.live]
        if not names or (draft.model is not None and draft.model not in names):
            return None
        parameters = tuple(sorted(self.settings.parameters().items()))
        model = draft.model or choose(self.live, draft.head, draft.sample)
        return Request(model, draft.messages, parameters, draft.sample, draft.head, draft.purpose, draft.tools)

    def _send(self, wave: Sequence[Request]) -> list[Answer | BackendError]:
        unique = {request.key: request for request in wave}
        self.asked += sum(self.store.get(request) is None for request in unique.values())
        pool = ThreadPoolExecutor(min(self.settings.concurrency, len(unique)), thread_name_prefix="ask")
        try:
            futures = {key: pool.submit(self._one, request) for key, request in unique.items()}
            return [futures[request.key].result() for request in wave]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            close = getattr(self.backend, "close", None)
            if close is not None:
                close()
            raise
        finally:
            pool.shutdown(wait=False)

    def _one(self, request: Request) -> Answer | BackendError:
        stored = self.store.get(request)
        if stored is not None:
            return stored
        try:
            answer = with_retries(self.backend, request, self.settings.retries, self.sleep)
        except BackendError as e:
            if e.kind != "ended":
                self.store.put_failure(request, e)
            return e
        self.store.put(request, answer)
        return answer

    def _commit(self, request: Request, result: Answer | BackendError) -> None:
        self.ledger.commit(request, result)
        model = request.model
        if isinstance(result, Answer):
            self._known.add(model)
            self._streak[model] = 0
            return
        if (model, result.kind) not in self._said:
            self._said.add((model, result.kind))
            self.say(f"{KINDS[result.kind].meaning}: {result}")
        if result.kind in _HARMLESS:
            return
        self._streak[model] = self._streak.get(model, 0) + 1
        if KINDS[result.kind].final or self._streak[model] >= GIVE_UP:
            remaining = [m for m in self.live if m.name != model]
            if len(remaining) < len(self.live):
                self.live = remaining
                self.say(f"{model} is not asked again ({KINDS[result.kind].meaning})")


def choose(models: Sequence[Model], head: tuple[int, int], sample: int) -> str:
    """A model in proportion to the weights: even over neighbouring heads and samples, the same in every run."""
    share = (head[0] * 64 + head[1] + sample) * _GOLDEN % 1 * sum(m.weight for m in models)
    for model in models:
        share -= model.weight
        if share < 0:
            return model.name
    return models[-1].name
