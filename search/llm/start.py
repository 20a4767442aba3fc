"""From command line options to a proposer that is ready to ask, or to a dry run that asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.llm.ask import choose
from search.llm.backend import Backend
from search.llm.budget import Ledger
from search.llm.compose import compose, opening
from search.llm.prompt import Template, default_template, read_template
from search.llm.proposer import HeadTask, LLMProposer, Translate, recorded_template
from search.llm.refine import feedback
from search.llm.replay import StoreReplay, open_replay
from search.llm.settings import LLMSettings, Price
from search.llm.store import message_record


@dataclass(frozen=True)
class Opened:
    """Checked before anything expensive: names, keys, prices, files."""

    settings: LLMSettings
    backend: Backend
    prices: dict[str, Price | None]
    template: Template

    def proposer(
        self,
        folder: Path,
        translate: Translate,
        say: Callable[[str], None] = lambda line: None,
        sleep: Callable[[float], None] | None = None,
    ) -> LLMProposer:
        """folder: RUN/llm."""
        if isinstance(self.backend, StoreReplay):
            say(self.backend.holds())
        return LLMProposer(
            self.settings, self.backend, folder, translate, prices=self.prices, template=self.template, sleep=sleep, say=say
        )


def open_llm(settings: LLMSettings, target: str, prompt: Path | None = None, *, dry_run: bool = False) -> Opened:
    """Checks everything that can be checked without asking anybody. target: the target's name or folder, for replays.

    Raises ValueError: unknown provider, missing key (names the variable), unknown price with a limit in US dollars, template or
    replay folder that cannot be used. A dry run needs no key.
    """
    template = read_template(prompt) if prompt is not None else None
    if settings.replay is not None:
        backend, settings = open_replay(settings, target)
        if isinstance(backend, StoreReplay):
            template = template or recorded_template(backend.store)
        prices: dict[str, Price | None] = {m.name: settings.prices.get(m.name, Price(0, 0)) for m in settings.models}
        return Opened(settings, backend, prices, template or default_template())
    from search.llm.litellm_backend import LiteLLMBackend, check_environment, knows_tools, price_of

    if not dry_run:
        check_environment(settings)
    if settings.protocol == "auto":
        settings = replace(settings, protocol="native" if all(knows_tools(m.name) for m in settings.models) else "text")
    prices = {m.name: price_of(m.name, settings.prices) for m in settings.models}
    if not dry_run:
        Ledger(settings, prices)  # refuses a limit in US dollars where a price is unknown
    return Opened(settings, LiteLLMBackend(settings), prices, template or default_template())


@dataclass(frozen=True)
class DryRun:
    """What a run would send in its first round. usd is the most that those calls can cost, None where a price is unknown."""

    prompts: list[dict[str, Any]]  # head, model, messages, prompt_tokens
    prompt_tokens: int
    usd: float | None

    def text(self) -> str:
        """The prompts and, last, the sums."""
        parts = []
        for p in self.prompts:
            parts.append(f"===== {p['head']} for {p['model']}: {p['prompt_tokens']} tokens")
            parts += [f"--- {m['role']}\n{m['content']}" for m in p["messages"]]
        cost = "unknown (no price known)" if self.usd is None else f"at most ${self.usd:.4f}"
        parts.append(f"{len(self.prompts)} calls, {self.prompt_tokens} prompt tokens, cost {cost}; nobody was called")
        return "\n".join(parts)


def dry_run(opened: Opened, tasks: Sequence[HeadTask]) -> DryRun:
    """The first round over `tasks`, up to the limit on calls; asks nobody. Tokens are counted by litellm's tokenizers.

    Of conversations these are the first messages alone: what comes after depends on the answers.
    """
    from search.llm.litellm_backend import count_tokens

    settings = opened.settings
    drafts = [(task, sample) for task in tasks for sample in range(settings.samples)][: settings.calls]
    prompts: list[dict[str, Any]] = []
    costs: list[float | None] = []
    for task, sample in drafts:
        key = task.evidence.key
        if settings.rounds and task.desk is not None:
            messages = opening(task.evidence, opened.template, task.desk, task.known, settings)
        else:
            messages = compose(task.evidence, opened.template, settings.prompt_tokens, feedback(task.evidence, task.state))
        model = choose(settings.models, key, sample)
        tokens = count_tokens(model, messages)
        price = opened.prices.get(model)
        costs.append(price.cost(tokens, settings.max_tokens) if price else None)
        shown = [message_record(m) for m in messages]
        prompts.append({"head": task.evidence.name, "model": model, "messages": shown, "prompt_tokens": tokens})
    usd = None if None in costs else sum(c for c in costs if c is not None)
    return DryRun(prompts, sum(p["prompt_tokens"] for p in prompts), usd)
