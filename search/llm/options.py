"""The command line's options about language models, and what they mean."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.llm.backend import KINDS
from search.llm.settings import PROTOCOLS, LLMSettings, parse_models, read_settings

NAMED = 6  # answers that a recording lacks

# by destination: the field of LLMSettings
_FIELDS = {
    "llm_base_url": "base_url",
    "llm_calls": "calls",
    "llm_tokens": "tokens",
    "max_usd": "usd",
    "llm_rounds": "rounds",
    "llm_protocol": "protocol",
}


def add_options(parser: ArgumentParser, proposals: bool = True) -> None:
    """proposals: models are asked for programs, not for answers to questions of another kind."""
    group = parser.add_argument_group("language models (docs/llm.md)")
    group.add_argument(
        "--llm",
        action="append",
        metavar="MODEL",
        help="a litellm name such as openai/gpt-4o or ollama/llama3, MODEL=2 to weigh it double, or replay:FOLDER; may be repeated",
    )
    group.add_argument("--llm-base-url", metavar="URL", help="an OpenAI-compatible server, such as http://localhost:8000/v1")
    group.add_argument("--llm-calls", type=_limit(int), metavar="N", help="send at most N requests")
    group.add_argument("--llm-tokens", type=_limit(int), metavar="N", help="spend at most about N tokens, prompts included")
    group.add_argument("--max-usd", type=_limit(float), metavar="X", help="spend at most about X US dollars")
    group.add_argument("--llm-settings", type=Path, metavar="FILE", help="TOML: temperature, max_tokens, timeout, prices, …")
    group.add_argument("--llm-refresh", action="store_true", help="ask anew, also what this run has answers to")
    if not proposals:
        return
    group.add_argument(
        "--llm-rounds", type=_limit(int), metavar="N", help="answers of one conversation with tools (8); 0: single questions"
    )
    group.add_argument("--llm-protocol", choices=PROTOCOLS, help="how tools are called (auto: native where the model is known to)")
    group.add_argument("--prompt", type=Path, metavar="FILE", help="a prompt template of your own")
    group.add_argument("--llm-dry-run", action="store_true", help="print the prompts, their tokens and cost; call nobody")
    group.add_argument("--llm-optional", action="store_true", help="exit 0 even where no answer of a model was usable")


def llm_settings(args: Namespace) -> LLMSettings | None:
    """What the options ask for; None without --llm. Raises ValueError where they make no sense (wrong usage)."""
    if not args.llm:
        given = [
            f"--{name.replace('_', '-')}" for name in (*_FIELDS, "llm_settings", "prompt") if getattr(args, name, None) is not None
        ]
        given += [
            f"--{name.replace('_', '-')}" for name in ("llm_dry_run", "llm_refresh", "llm_optional") if getattr(args, name, False)
        ]
        if given:
            raise ValueError(f"{given[0]} has no effect without --llm MODEL")
        return None
    values: dict[str, Any] = {f: value for name, f in _FIELDS.items() if (value := getattr(args, name, None)) is not None}
    settings = LLMSettings(parse_models(args.llm), allow_failure=getattr(args, "llm_optional", False), **values)
    return read_settings(args.llm_settings, settings) if args.llm_settings is not None else settings


def _limit(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a {'whole ' if kind is int else ''}number") from None
        if not 0 <= value < float("inf"):
            raise ArgumentTypeError(f"{text} is not a limit: 0 or more is expected")
        return value

    return read


def describe(summary: dict[str, Any]) -> list[str]:
    """A summary of LLMProposer in a few lines for a table or a log."""
    cost = "cost unknown" if summary["usd"] is None else f"${summary['usd']:.4f}"
    programs = ", ".join(f"{n} {status}" for status, n in summary["programs"].items() if n) or "none"
    lines = [
        f"language models: {summary['calls']} calls, {summary['tokens']} tokens, {cost}",
        f"programs in their answers: {programs}",
        f"heads served: {summary['heads_served']} of {summary['heads_asked']} asked about",
    ]
    if summary.get("moved"):
        lines.append(f"replayed by conversation and turn, as what was asked has changed: {summary['moved']} answers")
    if missing := summary.get("missing"):
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        lines.append(f"not in the recording: {'; '.join(missing[:NAMED])}{more}")
    if summary["failures"]:
        lines.append("failed calls: " + ", ".join(f"{n} x {KINDS[kind].meaning}" for kind, n in summary["failures"].items()))
    if summary["not_sent"]:
        lines.append(f"not sent, for lack of budget, models or time: {summary['not_sent']} requests")
    return lines
