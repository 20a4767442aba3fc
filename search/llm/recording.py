"""Recorded conversations: answers by whose conversation they belong to and their turn in it, whatever was asked.

What tools say changes whenever the search, the texts or the prompts do; an answer recorded before that is still the next one of its
conversation. A recording is the `llm` folder of a run, or a folder that `write` made of one: its settings.json, and a file of a few
kilobytes for each conversation, without the questions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.llm.backend import KINDS, Answer, BackendError, Request
from search.llm.store import SETTINGS, AnswerStore, from_answer, to_answer

MODEL = (-1, -1)  # stands for the head where the whole model is meant
_ASIDE = ("template",)  # of the settings: long, and of no use without the questions


@dataclass(frozen=True, order=True)
class Place:
    """Where an answer belongs. sample: which of a head's conversations; turn: how many answers came before it."""

    kind: str  # explain: with tools; propose: single questions and their corrections
    head: tuple[int, int]
    sample: int
    turn: int

    def __str__(self) -> str:
        again = f", {'conversation' if self.kind == 'explain' else 'question'} {self.sample + 1}" if self.sample else ""
        return f"{name_of(self.head)}{again}, answer {self.turn + 1}"


def name_of(head: tuple[int, int]) -> str:
    return "model" if head == MODEL else f"L{head[0]}H{head[1]}"


def place(request: Request) -> Place | None:
    """None of a request that belongs to no conversation about a head."""
    kind = _KINDS.get(request.purpose)
    turn = sum(message[0] == "assistant" for message in request.messages)
    return None if kind is None else Place(kind, request.head, request.sample, turn)


_KINDS = {"explain": "explain", "propose": "propose", "refine": "propose", "correct": "propose"}


@dataclass(frozen=True)
class Recorded:
    """What stands at a place. key: of the request that it answered."""

    model: str
    key: str
    outcome: Answer | BackendError


def read(folder: Path) -> dict[Place, Recorded]:
    """Everything recorded in a folder; of several at one place the youngest answer. Damaged files are passed over."""
    found: dict[Place, Recorded] = {}
    for path in sorted(folder.glob("*.json"), key=lambda p: (p.stat().st_mtime, p.name)):
        if path.name == SETTINGS:
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            for at, recorded in (_conversation(record) if "turns" in record else _single(path, record)).items():
                if at not in found or isinstance(recorded.outcome, Answer):
                    found[at] = recorded
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _conversation(record: Mapping[str, Any]) -> dict[Place, Recorded]:
    head = (int(record["head"][0]), int(record["head"][1]))
    found = {}
    for turn in record["turns"]:
        answer = to_answer({**turn, "answer": "\n".join(turn["answer"])})
        at = Place(str(record["kind"]), head, int(record["sample"]), int(turn["turn"]))
        found[at] = Recorded(str(record["model"]), str(turn["key"]), answer)
    return found


def _single(path: Path, record: Mapping[str, Any]) -> dict[Place, Recorded]:
    kind = _KINDS.get(record["purpose"])
    if kind is None:
        return {}
    turn = sum(m["role"] == "assistant" for m in record["messages"])
    at = Place(kind, (int(record["head"][0]), int(record["head"][1])), int(record["sample"]), turn)
    outcome: Answer | BackendError
    if path.name.endswith(".failed.json"):
        if record["kind"] not in KINDS:
            return {}
        outcome = BackendError(record["kind"], str(record["message"]))
    else:
        outcome = to_answer(record)
    return {at: Recorded(str(record["model"]), path.name.split(".")[0], outcome)}


def write(source: Path, target: Path) -> list[Path]:
    """The conversations of a run's `llm` folder as a recording in `target`; the files written, settings first.

    Raises ValueError where there is nothing to keep. Failed calls are left out.
    """
    settings = AnswerStore(source).settings()
    answers = {at: r for at, r in read(source).items() if isinstance(r.outcome, Answer)}
    if settings is None or not answers:
        raise ValueError(f"{source}: no answers of a language model")
    target.mkdir(parents=True, exist_ok=True)
    written = [target / SETTINGS]
    _put(written[0], {name: value for name, value in settings.items() if name not in _ASIDE})
    for kind, head, sample in sorted({(at.kind, at.head, at.sample) for at in answers}):
        turns = sorted((at.turn, r) for at, r in answers.items() if (at.kind, at.head, at.sample) == (kind, head, sample))
        record = {"head": list(head), "kind": kind, "sample": sample, "model": turns[0][1].model}
        told = [{"turn": turn, "key": r.key, **from_answer(r.outcome)} for turn, r in turns if isinstance(r.outcome, Answer)]
        for turn in told:
            turn["answer"] = turn["answer"].split("\n")  # lines, which people read and compare
        name = name_of(head) + ("" if kind == "explain" else "-question") + (f"-{sample + 1}" if sample else "")
        written.append(target / f"{name}.json")
        _put(written[-1], {**record, "turns": told})
    return written


def _put(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
