"""Where a model lies: the demo, a folder in Hugging Face format, a GGUF file, a hub id, or a GGUF file of a hub id."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError

DEMO = Path(__file__).parent / "demo" / "model"
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
HUB_GGUF = re.compile(r"([\w.-]+/[\w.-]+):([\w./-]+\.gguf)", re.IGNORECASE)
GGUF_PACKAGES = ("gguf", "accelerate")  # what transformers reads GGUF with


@dataclass(frozen=True)
class Location:
    """What to hand to from_pretrained. gguf: the file's name inside `source`; offline: keep off the network."""

    source: str
    gguf: str | None
    offline: bool

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments for from_pretrained of configuration, tokenizer and model."""
        return {"local_files_only": self.offline, **({"gguf_file": self.gguf} if self.gguf else {})}


def locate(spec: str) -> Location:
    """Where the model `spec` lies: "demo", a folder, a .gguf file, "org/name", or "org/name:FILE.gguf".

    A folder without config.json is taken for its one .gguf file. UserError, one line, for what is not there, and for a GGUF file
    where the packages that read it are missing.
    """
    path = DEMO if spec == "demo" else Path(spec).expanduser()
    if path.is_dir():
        found = [] if (path / "config.json").exists() else sorted(path.glob("*.gguf"))
        if len(found) > 1:
            raise UserError(f"{spec}: {len(found)} GGUF files; name one of them, such as {found[0]}")
        return _local(found[0], spec) if found else Location(str(path), None, True)
    if path.is_file() and path.suffix.lower() == ".gguf":
        return _local(path, spec)
    inside = HUB_GGUF.fullmatch(spec)
    name, file = (inside[1], inside[2]) if inside else (spec, None)
    if spec == "demo" or path.exists() or not HUB_ID.fullmatch(name) or (file is None and path.suffix.lower() == ".gguf"):
        raise UserError(f"{spec}: no such model folder or GGUF file")
    if file:
        _check_packages(spec)
    import huggingface_hub

    try:
        # Asked first because it answers at once; from_pretrained would try again for most of a minute.
        huggingface_hub.HfApi().model_info(name, timeout=10)
    except huggingface_hub.errors.RepositoryNotFoundError as error:
        raise UserError(f"{spec}: neither a folder here nor a model on the hub (or not one that you may read)") from error
    except Exception:  # no network, in whichever way: what an earlier run downloaded can still be used
        if not huggingface_hub.try_to_load_from_cache(name, file or "config.json"):
            raise UserError(f"{spec}: neither a folder here nor a downloaded model, and the hub cannot be reached") from None
        return Location(name, file, True)
    return Location(name, file, False)


def _local(file: Path, spec: str) -> Location:
    _check_packages(spec)
    return Location(str(file.parent), file.name, True)


def _check_packages(spec: str) -> None:
    missing = [package for package in GGUF_PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(f"{spec}: a GGUF file is read with {' and '.join(missing)}; pip install 'headscript[gguf]'")
