"""The run folder: everything needed to go on, to inspect and to share a run. Every file appears whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsl.text import Text, from_data, to_data

if TYPE_CHECKING:
    import numpy as np

FORMAT = 2  # of the folder; another one is refused
SPLITS = ("fit", "select", "test")


class FolderError(ValueError):
    """A run folder cannot be used as asked; the message is one line."""


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run.

    run.json         format, settings, versions, target, texts
    texts/           the texts of each split as the target reads them, the domain of each, and their token similarities
    units/           results of finished units of work, one file each
    result.json      the outcome (heads, library, curve); the same bytes for the same settings
    programs.json    every program, who proposed it, its size, and the names of the heads
    scores.npy       (3, P, H) float32: mean IoU of every program with every head on fit, select and test
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

    def start(self, description: dict[str, Any]) -> None:
        """Begins the run, or goes on with it if the folder was begun with the same settings; refuses it otherwise."""
        description = json.loads(json.dumps({"format": FORMAT, **description}))
        if not self.exists():
            if self.path.exists() and any(self.path.iterdir()):
                raise FolderError(f"{self.path}: not empty and not a run folder; name another folder with --out")
            self.write("run.json", description)
            return
        changed = difference(self.description()["settings"], description["settings"])
        if changed:
            raise FolderError(f"{self.path}: begun with other settings ({changed}); use the same ones, or another --out")

    def description(self) -> dict[str, Any]:
        """run.json, checked to be of this format."""
        if not self.exists():
            raise FolderError(f"{self.path}: not a run folder (no run.json)")
        known = self.read("run.json")
        if not isinstance(known, dict) or known.get("format") != FORMAT:
            found = known.get("format") if isinstance(known, dict) else None
            age = "an older" if isinstance(found, int) and found < FORMAT else "another"
            raise FolderError(f"{self.path}: made by {age} version; run again with another --out")
        return known

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
    """The first setting that differs, as "name: known, now wanted"; "" if none does."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(k for k in known if k not in wanted)]:
            if found := difference(known.get(key), wanted.get(key), f"{name}.{key}" if name else key):
                return found
        return ""
    return "" if known == wanted else f"{name}: {json.dumps(known)}, now {json.dumps(wanted)}"


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces the file in one step. Raises OSError as the system does (full disk, no permission); nothing half-written stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
