"""The run folder: everything needed to go on, to inspect and to share a run. Every file appears whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsl.text import Text, from_data, to_data
from search import continuation

if TYPE_CHECKING:
    import numpy as np

    from dsl import Concept

FORMAT = 3  # of the folder; another one is refused
SPLITS = ("fit", "select", "test")
GIVEN = "concepts.pattern"
CONCEPTS = "units/concepts.json"  # the classes that each of the concepts joins which the search made for the model
HASHED = ("target", "text")  # settings whose value tells a reader nothing


class FolderError(ValueError):
    """A run folder cannot be used as asked; the message is one line."""


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run.

    run.json         format, settings, versions, target, texts
    concepts.pattern the concepts that the run was given and those that its programs use; a copy to edit and give to another run
    texts/           the texts of each split as the target reads them, the domain of each, and their token similarities
    units/           results of finished units of work, one file each
    result.json      the outcome (heads, library, curve); the same bytes for the same settings
    programs.json    the programs that may stand in a library, who proposed them, their sizes, and the names of the heads
    scores.npy       (2, P, H) float32: mean IoU of these programs with every head on select and test
    timing.json      seconds by phase; differs from run to run
    """

    path: Path

    def exists(self) -> bool:
        return (self.path / "run.json").exists()

    def read(self, name: str) -> Any:
        """A JSON file of the folder. Raises FolderError if it is missing or damaged."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FolderError(f"{self.path}: no {name} in this folder; is it the folder of a finished run?") from None
        except (OSError, ValueError) as error:
            raise FolderError(f"{self.path / name}: cannot be read ({error})") from None

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def write(self, name: str, data: Any) -> None:
        """Writes a JSON file atomically, keys in the order given."""
        write_atomically(self.path / name, (json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode())

    def start(self, description: dict[str, Any]) -> tuple[str, ...]:
        """Begins the run, or goes on with it; returns what these settings add to those of the folder, in words.

        Raises FolderError where they contradict them, or ask for less.
        """
        description = json.loads(json.dumps({"format": FORMAT, **description}))
        if not self.exists():
            if self.path.exists() and any(p.name != ".lock" for p in self.path.iterdir()):
                raise FolderError(f"{self.path}: not empty and not a run folder; name another folder with --out")
            self.write("run.json", description)
            if lines := description["settings"].get("concepts"):
                write_atomically(self.path / GIVEN, "".join(f"{line}\n" for line in lines.values()).encode())
            return ()
        known = self.description()
        more = self.growth(description["settings"])
        if more.added:
            earlier = known.get("earlier", [])
            if more.again is not None:
                earlier = [*earlier, known["settings"]]
                continuation.archive(self.path, len(earlier), more.again)
            self.write("run.json", {**description, "settings": more.settings, "earlier": earlier})
            for name in ("result.json", "partial.json"):
                (self.path / name).unlink(missing_ok=True)
        return more.added

    def growth(self, settings: dict[str, Any]) -> continuation.Growth:
        """What these settings add to those of the folder. Raises FolderError where they contradict them, or ask for less."""
        try:
            return continuation.growth(self.description()["settings"], json.loads(json.dumps(settings)))
        except continuation.Contradiction as error:
            raise FolderError(f"{self.path}: begun with other settings ({error}); use the same ones, or another --out") from None

    def units(self, phase: str, current: bool = True) -> list[str]:
        """The names of the files of a phase's finished units: those of earlier rounds first, each round's by number.

        current: with those of this round.
        """
        folders = [f"earlier/{n}/{phase}" for n in range(1, len(self.description().get("earlier", ())) + 1)]
        found = [sorted((self.path / f).glob("*.json"), key=lambda p: int(p.stem)) for f in folders + [f"units/{phase}"] * current]
        return [str(p.relative_to(self.path)) for files in found for p in files]

    def description(self) -> dict[str, Any]:
        """run.json, checked to be of this format."""
        if not self.exists():
            raise FolderError(f"{self.path}: not a run folder (no run.json)")
        known = self.read("run.json")
        if not isinstance(known, dict) or known.get("format") != FORMAT:
            found = known.get("format") if isinstance(known, dict) else None
            age = "an older" if isinstance(found, int) and found < FORMAT else "another"
            raise FolderError(f"{self.path}: made by {age} version: run again with another --out")
        return known

    def keep_concepts(self, used: Sequence[str]) -> None:
        """Writes the concepts of the run's programs beside those it was given, for another run; not over what somebody edited.

        used: definitions, each in one line.
        """
        given = list(self.description()["settings"].get("concepts", {}).values())
        names = {line.split("(", 1)[0] for line in given}
        lines = [*given, *dict.fromkeys(line for line in used if line.split("(", 1)[0] not in names)]
        file = self.path / GIVEN
        if lines and not (file.exists() and set(file.read_text(encoding="utf-8").splitlines()) - set(lines)):
            write_atomically(file, "".join(f"{line}\n" for line in lines).encode())

    def concepts(self) -> dict[str, Concept]:
        """The concepts that the run was given, by name: as they were then, whatever has become of the copy in the folder."""
        from dsl import parse_concepts

        return parse_concepts("\n".join(self.description()["settings"].get("concepts", {}).values()))

    def write_array(self, name: str, array: np.ndarray) -> None:
        """Writes an array as float32 atomically, in numpy's format."""
        import io

        import numpy as np

        buffer = io.BytesIO()
        np.save(buffer, np.asarray(array, np.float32))
        write_atomically(self.path / name, buffer.getvalue())

    def read_array(self, name: str) -> np.ndarray:
        """An array of the folder. Raises FolderError if it is missing or damaged."""
        import numpy as np

        try:
            return np.load(self.path / name)
        except (OSError, ValueError) as error:
            raise FolderError(f"{self.path / name}: cannot be read ({error}); run again with another --out") from None

    def write_texts(self, split: str, texts: Sequence[Text], domains: Sequence[str] | None = None) -> None:
        """Keeps the texts of a split, the domain of each (else one for all), and the (n, n) float32 similarities of tokens."""
        import numpy as np

        from search.domains import ONE_DOMAIN

        flat = np.concatenate([t.similarity.ravel() for t in texts]) if texts else np.zeros(0, np.float32)
        self.write_array(f"texts/{split}-similarity.npy", flat)
        names = list(domains) if domains is not None else [ONE_DOMAIN] * len(texts)
        self.write(f"texts/{split}.json", {"domains": names, "texts": [to_data(t) for t in texts]})

    def texts(self, split: str) -> tuple[Text, ...]:
        """The texts of a split, as written."""
        rows = self.read(f"texts/{split}.json")["texts"]
        flat = self.read_array(f"texts/{split}-similarity.npy")
        texts, at = [], 0
        for row in rows:
            n = len(row["tokens"])
            texts.append(from_data(row, flat[at : at + n * n].reshape(n, n)))
            at += n * n
        return tuple(texts)

    def domains(self, split: str) -> tuple[str, ...]:
        """The domain of each text of a split, by name."""
        return tuple(self.read(f"texts/{split}.json")["domains"])

    @property
    def held_out(self) -> tuple[str, ...]:
        """The domains whose texts stand in `test` alone and count in no mean."""
        return tuple(self.description()["settings"].get("held_out", ()))


def difference(known: Any, wanted: Any, name: str = "") -> str:
    """The first setting that differs, as "name: known, now wanted" (of a hash without the values); "" if none does."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(k for k in known if k not in wanted)]:
            if found := difference(known.get(key), wanted.get(key), f"{name}.{key}" if name else key):
                return found
        return ""
    if known == wanted:
        return ""
    return f"{name}: another one" if name in HASHED else f"{name}: {json.dumps(known)}, now {json.dumps(wanted)}"


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces the file in one step. Raises OSError as the system does, with the file's name (full disk, no permission).

    Nothing half-written stays. What is no ordinary file (a pipe, a terminal, /dev/full) is written to as it is.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    special = path.exists() and not path.is_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (path if special else part).open("wb") as file:
            file.write(content)
            file.flush()
            if not special:
                os.fsync(file.fileno())
        if not special:
            os.replace(part, path)
    except BaseException as error:
        if not special:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
