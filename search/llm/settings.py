"""How language models are asked: which ones, how often, for how much."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from search.llm.scrub import sounds_secret

REPLAY = "replay:"
PROTOCOLS = ("auto", "native", "text")
MOST_AT_ONCE = 32  # calls; see search/llm/ask.py


@dataclass(frozen=True)
class Model:
    """One model by its litellm name; models are asked in proportion to their weights."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


@dataclass(frozen=True)
class LLMSettings:
    """Everything about asking. Limits of None do not limit. Raises ValueError for values that make no sense."""

    models: tuple[Model, ...]
    base_url: str | None = None
    calls: int | None = None  # requests sent; retries of one request count once
    tokens: int | None = None  # prompt and completion tokens
    usd: float | None = None
    concurrency: int = 4
    timeout: float = 120.0  # seconds until a call is given up, whatever has arrived of it
    retries: int = 4  # after rate limits, 5xx and refused connections
    temperature: float | None = None  # None: the provider's default
    max_tokens: int = 4000  # of one answer
    samples: int = 1  # requests per head and round
    prompt_tokens: int = 4000  # of one prompt, estimated
    corrections: bool = True  # send syntax and lifting errors back once
    rounds: int = 8  # answers of one conversation with tools; 0: single questions without tools
    survey: bool = True  # where many heads are explained, one conversation about the whole model comes first
    protocol: str = "auto"  # of tools: native, text (plain), or auto: native where litellm knows that all models take tools
    params: Mapping[str, Any] = field(default_factory=dict)  # further parameters of litellm.completion
    prices: Mapping[str, Price] = field(default_factory=dict)  # by model name
    allow_failure: bool = False

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("no model is named")
        for name, low in _LOWEST.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise ValueError(f"{name} = {value:g} of the language models must be at least {low:g}")
        if self.concurrency > MOST_AT_ONCE:
            raise ValueError(f"concurrency = {self.concurrency} of the language models may be at most {MOST_AT_ONCE}")
        if any(m.weight <= 0 for m in self.models):
            raise ValueError("weights of models must be above 0")
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol = {self.protocol!r} of the language models must be one of {', '.join(PROTOCOLS)}")
        if bad := [p for p in self.params if sounds_secret(p)]:
            raise ValueError(f"parameter {bad[0]!r} looks like a secret: keys are read from the environment only")
        if bad := [p for p in self.params if p in _OURS]:
            raise ValueError(f"parameter {bad[0]!r} under [params] has a setting or a command line option of its own")
        if self.base_url is not None:
            url = urlsplit(self.base_url)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValueError(f"base URL {self.base_url!r}: expected something like http://localhost:8000/v1")
            if "@" in url.netloc or url.query:
                raise ValueError("the base URL may not carry a password or a query: keys are read from the environment only")

    @property
    def replay(self) -> str | None:
        """What to replay (a folder, or folder/prefix), or None where models are really asked."""
        name = self.models[0].name
        return name.removeprefix(REPLAY) if name.startswith(REPLAY) else None

    def parameters(self) -> dict[str, Any]:
        """The parameters of a request that shape its answer: part of its key."""
        given = {} if self.temperature is None else {"temperature": self.temperature}
        return {**given, "max_tokens": self.max_tokens, **self.params}


_LOWEST = {"calls": 0, "tokens": 0, "usd": 0, "concurrency": 1, "timeout": 0.01, "retries": 0, "max_tokens": 1, "samples": 1,
           "prompt_tokens": 500, "rounds": 0, "temperature": 0}  # fmt: skip
_OURS = {
    "model",
    "messages",
    "stream",
    "n",
    "timeout",
    "api_base",
    "base_url",
    "temperature",
    "max_tokens",
    "num_retries",
    "max_retries",
}
_IN_FILE = {"temperature": float, "max_tokens": int, "timeout": float, "retries": int, "concurrency": int, "samples": int,
            "prompt_tokens": int, "corrections": bool, "rounds": int, "survey": bool}  # fmt: skip


def parse_models(names: Iterable[str]) -> tuple[Model, ...]:
    """Models from the command line: `openai/gpt-4o`, or `openai/gpt-4o=2` to be asked twice as often as one without weight."""
    models = []
    for given in names:
        name, _, weight = given.rpartition("=")
        try:
            models.append(Model(name, float(weight)) if name and not given.startswith(REPLAY) else Model(given))
        except ValueError:
            raise ValueError(f"{given!r}: after '=' a weight is expected, as in {name}=2") from None
    replays = [m.name for m in models if m.name.startswith(REPLAY)]
    if replays and len(models) > 1:
        raise ValueError(f"{replays[0]} cannot be combined with other models")
    if len({m.name for m in models}) < len(models):
        raise ValueError("a model is named twice; give it a weight instead, as in NAME=2")
    return tuple(models)


def read_settings(path: Path, settings: LLMSettings) -> LLMSettings:
    """`settings` with what a TOML file says: the fields of `_IN_FILE`, tables [params] and [prices."MODEL"] (input, output in
    US dollars per million tokens). Raises ValueError naming the file and what is wrong in it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ValueError(f"{path}: cannot be read ({e.strerror or e})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ValueError(f"{path}: not TOML: {e}") from None
    changes: dict[str, Any] = {}
    for name, value in data.items():
        if name == "params" and isinstance(value, dict):
            changes["params"] = value
        elif name == "prices" and isinstance(value, dict):
            changes["prices"] = {model: _price(path, model, p) for model, p in value.items()}
        elif name in _IN_FILE:
            changes[name] = _number(path, name, value)
        else:
            known = sorted([*_IN_FILE, "params", "prices"])
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}; other parameters go under [params]"
            raise ValueError(f"{path}: unknown setting {name!r}: {hint}")
    try:
        return replace(settings, **changes)
    except ValueError as e:
        raise ValueError(f"{path}: {e}") from None


def _number(path: Path, name: str, value: Any) -> Any:
    kind = _IN_FILE[name]
    if isinstance(value, bool) is not (kind is bool) or not isinstance(value, int if kind is not float else int | float):
        raise ValueError(f"{path}: {name} must be {'true or false' if kind is bool else 'a number'}, not {value!r}")
    return kind(value)


def _price(path: Path, model: str, value: Any) -> Price:
    fine = isinstance(value, dict) and set(value) == {"input", "output"}
    if not fine or not all(isinstance(v, int | float) and not isinstance(v, bool) and v >= 0 for v in value.values()):
        raise ValueError(f'{path}: [prices."{model}"] needs input and output, US dollars per million tokens, as in input = 0.5')
    return Price(float(value["input"]), float(value["output"]))


def to_record(settings: LLMSettings) -> dict[str, Any]:
    """The settings that shape requests, as JSON data: what a replay needs to compute the same keys."""
    record = {f.name: getattr(settings, f.name) for f in fields(settings) if f.name in _RECORDED}
    return {
        **record,
        "models": [[m.name, m.weight] for m in settings.models],
        "params": dict(settings.params),
        "prices": {name: [p.input, p.output] for name, p in settings.prices.items()},
    }


_RECORDED = {"temperature", "max_tokens", "samples", "prompt_tokens", "corrections", "rounds", "survey", "protocol"}
_BEFORE_TOOLS: dict[str, Any] = {"rounds": 0, "survey": False, "protocol": "text"}  # of answers recorded when there were none


def from_record(record: Mapping[str, Any], settings: LLMSettings) -> LLMSettings:
    """`settings` with the request-shaping part of a recorded run."""
    return replace(
        settings,
        models=tuple(Model(name, weight) for name, weight in record["models"]),
        params=dict(record["params"]),
        prices={name: Price(*p) for name, p in record["prices"].items()},
        **{name: record[name] if name in record else _BEFORE_TOOLS[name] for name in sorted(_RECORDED)},
    )
