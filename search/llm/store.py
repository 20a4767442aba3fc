"""Every answer is on disk before it is used: RUN/llm/KEY.json, with the question, usage and cost.

KEY is Request.key. A failed call leaves KEY.failed.json, which only a replay reads: a resumed run asks again.
settings.json holds what shaped the requests, so that a replay computes the same keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search.llm.backend import KINDS, Answer, BackendError, Request, ToolCall, Usage

SETTINGS = "settings.json"


class AnswerStore:
    """One folder of answers. Writing is atomic: a killed run leaves whole files only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, request: Request) -> Answer | None:
        """The stored answer, None where there is none (or a damaged file, which is asked for again)."""
        record = self._read(f"{request.key}.json")
        try:
            return None if record is None else to_answer(record)
        except (KeyError, TypeError, ValueError):
            return None

    def failure(self, request: Request) -> BackendError | None:
        record = self._read(f"{request.key}.failed.json")
        if record is None or record.get("kind") not in KINDS:
            return None
        return BackendError(record["kind"], str(record.get("message")))

    def put(self, request: Request, answer: Answer) -> None:
        self._write(f"{request.key}.json", {**_question(request), **from_answer(answer)})
        (self.folder / f"{request.key}.failed.json").unlink(missing_ok=True)  # of an earlier try

    def put_failure(self, request: Request, error: BackendError) -> None:
        self._write(f"{request.key}.failed.json", {**_question(request), "kind": error.kind, "message": str(error)})

    def put_settings(self, record: dict[str, Any]) -> None:
        self._write(SETTINGS, record)

    def settings(self) -> dict[str, Any] | None:
        return self._read(SETTINGS)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            record = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None

    def _write(self, name: str, record: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # requests in flight have different keys, and runs in one folder different process ids: no two writers share a file
        temporary = self.folder / f".{name}.{os.getpid()}"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(record, file, ensure_ascii=True, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / name)


def message_record(message: tuple[str, ...]) -> dict[str, Any]:
    """A message as providers take it."""
    role, content, *more = message
    return {"role": role, "content": content, **(json.loads(more[0]) if more else {})}


def _question(request: Request) -> dict[str, Any]:
    return {
        "model": request.model,
        "head": list(request.head),
        "purpose": request.purpose,
        "sample": request.sample,
        "parameters": dict(request.parameters),
        "messages": [message_record(m) for m in request.messages],
        **({"tools": json.loads(request.tools)} if request.tools else {}),
    }


def from_answer(answer: Answer) -> dict[str, Any]:
    """JSON data; to_answer gives the answer back."""
    return {
        "answer": answer.text,
        "finish": answer.finish,
        "usage": {
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "estimated": answer.estimated,
        },
        "cost_usd": answer.cost_usd,
        **({"calls": [asdict(c) for c in answer.calls]} if answer.calls else {}),
        **({"moved": True} if answer.moved else {}),
    }


def to_answer(record: Mapping[str, Any]) -> Answer:
    """Raises KeyError, TypeError or ValueError where the record is damaged."""
    usage, cost = record["usage"], record["cost_usd"]
    return Answer(
        text=str(record["answer"]),
        usage=Usage(int(usage["prompt_tokens"]), int(usage["completion_tokens"])),
        cost_usd=None if cost is None else float(cost),
        finish=str(record["finish"]),
        estimated=bool(usage["estimated"]),
        calls=tuple(ToolCall(**c) for c in record.get("calls", ())),
        moved=bool(record.get("moved")),
    )
