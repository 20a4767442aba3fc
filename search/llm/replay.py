"""Answers from a folder instead of a model: no network, no key.

Two kinds of folder are understood. A recording (recording.py: the `llm` folder of an earlier run, the run's own folder, or what was
kept of one): its answers are found by the words of the question, else by conversation and turn. And a folder of plain files named
PREFIX_L0H3.py, .pattern, .txt or .md (PREFIX_L0H3_2.py for a further answer), each of them the whole answer for one head; PREFIX is
whatever names the target; where a folder holds several, the one that occurs in the target's name is used, or the one given as
replay:FOLDER/PREFIX.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from glob import escape
from pathlib import Path

from search.llm.backend import Answer, Backend, BackendError, Request, Usage
from search.llm.recording import name_of, place, read
from search.llm.settings import LLMSettings, Model, from_record
from search.llm.store import SETTINGS, AnswerStore

_FILE = re.compile(r"(?P<prefix>.+?)_L(?P<layer>\d+)H(?P<head>\d+)(?:[_-](?P<more>\w+))?\.(?P<suffix>py|pattern|txt|md)$")
NAMED = 14  # heads of a recording
_LABELS = {".py": "python", ".pattern": "pattern"}


class StoreReplay:
    """Answers that an earlier run stored: to the same question, else the one at the same place of the same conversation."""

    recorded = True  # another try finds the same

    def __init__(self, folder: Path) -> None:
        self.store, self.places = AnswerStore(folder), read(folder)

    def available(self, head: tuple[int, int]) -> int:
        """How many conversations (or single questions) about a head, or about the whole model, are recorded."""
        return max((at.sample + 1 for at in self.places if at.head == head), default=0)

    def complete(self, request: Request) -> Answer:
        answer = self.store.get(request)
        if answer is not None:
            return answer
        if failure := self.store.failure(request):
            raise failure
        at = place(request)
        found = None if at is None else self.places.get(at)
        if found is None:
            raise BackendError("not recorded", str(at or "this question"))
        if isinstance(found.outcome, BackendError):
            raise found.outcome
        return replace(found.outcome, moved=found.key != request.key)

    def holds(self) -> str:
        """What there is, in one line."""
        answers = [at for at, r in self.places.items() if isinstance(r.outcome, Answer)]
        names = list(dict.fromkeys(name_of(head) for _, head in sorted((at.head[0] >= 0, at.head) for at in answers)))
        shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        return f"replay: {len(answers)} answers about {shown}" if answers else "replay: no answers"


class FileReplay:
    """Answer files by head; the number of the sample chooses among several. Corrections are not answered."""

    recorded = True

    def __init__(self, files: Mapping[tuple[int, int], Sequence[Path]]) -> None:
        self.files = files

    def available(self, head: tuple[int, int]) -> int:
        """How many answers there are for the head."""
        return len(self.files.get(head, ()))

    def complete(self, request: Request) -> Answer:
        files = self.files.get(request.head, ())
        if request.purpose == "correct" or request.sample >= len(files):
            what = "correction" if request.purpose == "correct" else f"answer {request.sample + 1}"
            raise BackendError("not recorded", f"{name_of(request.head)}, {what}")
        path = files[request.sample]
        text = path.read_text(encoding="utf-8", errors="replace")
        label = _LABELS.get(path.suffix)
        return Answer(f"```{label}\n{text}\n```" if label else text, Usage(0, 0), 0.0)


def open_replay(settings: LLMSettings, target: str) -> tuple[Backend, LLMSettings]:
    """The backend for `replay:…` and the settings to compute requests with. Raises ValueError where nothing can be replayed."""
    given = settings.replay
    assert given is not None, "not a replay"
    folder = Path(given).expanduser()
    for there in (folder, folder / "llm"):
        if (there / SETTINGS).is_file():
            record = AnswerStore(there).settings()
            try:
                if record is not None:
                    return StoreReplay(there), from_record(record, settings)
            except (KeyError, TypeError, ValueError):
                pass
            raise ValueError(f"replay: {there / SETTINGS} is damaged")
    prefix = None
    if not folder.is_dir() and any(folder.parent.glob(f"{escape(folder.name)}_L*")):
        folder, prefix = folder.parent, folder.name
    if not folder.is_dir():
        raise ValueError(f"replay: no folder {given}")
    found: dict[str, dict[tuple[int, int], list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        if match := _FILE.match(path.name):
            heads = found.setdefault(match["prefix"], {})
            heads.setdefault((int(match["layer"]), int(match["head"])), []).append(path)
    if not found:
        raise ValueError(f"replay: {folder} holds neither the answers of a run ({SETTINGS}) nor files named like TARGET_L0H3.py")
    chosen = prefix if prefix is not None else _choose(list(found), target, folder)
    if chosen not in found:
        raise ValueError(f"replay: no files {chosen}_L…H… in {folder}; it has {', '.join(found)}")
    most = max(len(files) for files in found[chosen].values())
    # a plain answer has no model: its requests are the same whatever the settings say about models
    return FileReplay(found[chosen]), _single(settings, most)


def _choose(prefixes: Sequence[str], target: str, folder: Path) -> str:
    fitting = [p for p in prefixes if p.lower() in target.lower()]
    if fitting:
        return max(fitting, key=len)
    if len(prefixes) == 1:
        return prefixes[0]
    names = " or ".join(f"replay:{folder}/{p}" for p in prefixes)
    raise ValueError(f"replay: {folder} holds answers for several targets and none is named like {target!r}; say {names}")


def _single(settings: LLMSettings, samples: int) -> LLMSettings:
    return replace(settings, models=(Model("replay"),), samples=samples, corrections=False, rounds=0)
