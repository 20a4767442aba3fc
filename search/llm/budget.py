"""What may still be spent, and what was: calls, tokens, US dollars, by head and by model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from search.llm.backend import Answer, BackendError, Request
from search.llm.settings import LLMSettings, Price

_UNKNOWN_PRICE = (
    "the price of {model} is not known, so that a limit in US dollars cannot be kept; give it in the settings file: "
    '[prices."{model}"] input = … and output = … (US dollars per million tokens), or drop the limit'
)


@dataclass
class Spending:
    """Sums over answers; usd counts the answers whose cost is known."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0  # answers of unknown cost

    def record(self) -> dict[str, Any]:
        return {"calls": self.calls, "tokens": self.tokens, "usd": None if self.unpriced else round(self.usd, 6)}


@dataclass
class Ledger:
    """What was spent so far, in the order of requests. Limits are kept by counting a call in flight as the dearest so far of its
    model; the first call to a model flies alone, as nothing is known about it."""

    settings: LLMSettings
    prices: dict[str, Price | None]  # by model; None: unknown
    total: Spending = field(default_factory=Spending)
    heads: dict[tuple[int, int], Spending] = field(default_factory=dict)
    models: dict[str, Spending] = field(default_factory=dict)
    dearest: dict[str, tuple[int, float]] = field(default_factory=dict)  # tokens and US dollars of one answer
    failures: Counter[str] = field(default_factory=Counter)
    denied: int = 0  # requests that the budget did not allow
    moved: int = 0  # answers of a recording that were given to questions of other words
    missing: list[str] = field(default_factory=list)  # what a recording had no answer to

    def __post_init__(self) -> None:
        """Raises ValueError where a limit in US dollars meets a model of unknown price."""
        if self.settings.usd is not None:
            for model in self.settings.models:
                if self.prices.get(model.name) is None:
                    raise ValueError(_UNKNOWN_PRICE.format(model=model.name))

    def fits(self, request: Request, prompt_tokens: int, in_flight: list[Request]) -> bool:
        """Whether the request may be sent beside those in flight. prompt_tokens: an estimate for its prompt."""
        limits = self.settings
        if limits.calls is not None and self.total.calls + len(in_flight) + 1 > limits.calls:
            return False
        expected = [self._expected(r, prompt_tokens) for r in (*in_flight, request)]
        if limits.tokens is not None and self.total.tokens + sum(tokens for tokens, _ in expected) > limits.tokens:
            return False
        return limits.usd is None or self.total.usd + sum(usd for _, usd in expected) <= limits.usd + 1e-9

    def _expected(self, request: Request, prompt_tokens: int) -> tuple[int, float]:
        """Tokens and US dollars that the request will cost. Of a model that has not answered yet little is known: any token, and
        the price of the prompt alone."""
        if request.model in self.dearest:
            return self.dearest[request.model]
        price = self.prices.get(request.model)
        return 1, price.cost(prompt_tokens, 0) if price else 0.0

    def commit(self, request: Request, outcome: Answer | BackendError) -> None:
        """Counts one finished call. Call in the order of requests: sums of floats depend on it."""
        sums = (
            self.total,
            self.heads.setdefault(request.head, Spending()),
            self.models.setdefault(request.model, Spending()),
        )
        if isinstance(outcome, BackendError):
            self.failures[outcome.kind] += 1
            if outcome.kind == "not recorded":
                self.missing.append(str(outcome))
                return  # nobody was called
            for spending in sums:
                spending.calls += 1
            return
        for spending in sums:
            spending.calls += 1
            spending.tokens += outcome.usage.total
            spending.usd += outcome.cost_usd or 0.0
            spending.unpriced += outcome.cost_usd is None
        self.moved += outcome.moved
        tokens, usd = self.dearest.get(request.model, (0, 0.0))
        self.dearest[request.model] = (max(tokens, outcome.usage.total), max(usd, outcome.cost_usd or 0.0))

    def state(self) -> dict[str, Any]:
        """JSON data; see restore."""
        return {
            "total": asdict(self.total),
            "heads": [[*head, asdict(s)] for head, s in self.heads.items()],
            "models": {name: asdict(s) for name, s in self.models.items()},
            "dearest": {name: list(most) for name, most in self.dearest.items()},
            "failures": dict(self.failures),
            "denied": self.denied,
            "moved": self.moved,
            "missing": self.missing,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.total = Spending(**state["total"])
        self.heads = {(layer, head): Spending(**s) for layer, head, s in state["heads"]}
        self.models = {name: Spending(**s) for name, s in state["models"].items()}
        self.dearest = {name: (tokens, usd) for name, (tokens, usd) in state["dearest"].items()}
        self.failures, self.denied = Counter(state["failures"]), state["denied"]
        self.moved, self.missing = state["moved"], list(state["missing"])

    @property
    def spent(self) -> bool:
        """Whether no further call fits, whatever it asks."""
        limits, total = self.settings, self.total
        least = min(self.dearest.values(), default=(0, 0.0))
        return (
            (limits.calls is not None and total.calls >= limits.calls)
            or (limits.tokens is not None and total.tokens + max(least[0], 1) > limits.tokens)
            or (limits.usd is not None and total.usd + least[1] > limits.usd + 1e-9)
        )
