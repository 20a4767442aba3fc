"""A run on this machine: its folder, its texts, its attention patterns, and, where a command needs it, its model."""

from __future__ import annotations

import platform
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import output
from harness.domains import MIXTURE, Source
from harness.errors import UserError
from search.folder import SPLITS, RunFolder

if TYPE_CHECKING:
    from dsl.text import Text
    from harness.attention import AttentionStore
    from harness.targets import Target

EVALUATIONS_PER_HEAD = 10_000  # what a head's search takes in the mean, its program beyond the shown length included
# Settings that a search goes by.
PLANNED = ("seed", "evaluations", "parsimony", "max_rules", "max_size", "max_set", "library_size")
VERSIONS = ("headscript", "torch", "transformers", "numpy", "lark", "spacy")


@dataclass
class Session:
    """A run folder opened. What is expensive (model, patterns) is loaded when it is first asked for."""

    folder: RunFolder
    device: str = "cpu"
    description: dict[str, Any] = field(default_factory=dict)
    loaded: Target | None = field(default=None, repr=False)

    @property
    def settings(self) -> dict[str, Any]:
        return self.description["settings"]

    @property
    def names(self) -> dict[str, Any]:
        """What the user called things: target, text, annotator."""
        return self.description["names"]

    @cached_property
    def target(self) -> Target:
        """The run's model. Raises UserError if it is not the one the run was made with."""
        from harness.targets import load_target

        target = self.loaded or load_target(self.names["target"], self.device)
        check_same(target, self)
        return target

    def read(self, texts: Sequence[str | Text]) -> tuple[Text, ...]:
        """Texts as the run's model reads them, cut at its length; what is a Text already stays as it is.

        Raises UserError for a text that is too short to have attention.
        """
        from harness.annotate import load_annotator
        from harness.targets import prepare

        annotator = None
        if self.names["annotator"] and any(isinstance(text, str) for text in texts):
            annotator = load_annotator(self.names["annotator"])
        found: list[Text] = []
        for text in texts:
            if isinstance(text, str):
                (text,), _ = prepare(self.target, [text], self.settings["max_tokens"], annotator)
            found.append(text)
        return tuple(found)

    def odd_texts(self) -> tuple[Text, ...]:
        """Texts of other kinds than the run's own, read as those are, on which lifted programs are validated, too."""
        from harness.annotate import load_annotator
        from harness.odd import odd_texts

        annotator = load_annotator(self.names["annotator"]) if self.names["annotator"] else None
        return odd_texts(self.target, self.settings["max_tokens"], annotator)

    def release_model(self) -> None:
        """Gives the memory of the model back; `target` would load it again."""
        import gc

        from search.workspace import trim

        self.loaded = None
        self.__dict__.pop("target", None)
        gc.collect()  # the parts of a model refer to each other
        trim()

    @property
    def labels(self) -> dict[str, Any]:
        """The same without folders, for results that are shared."""
        return {what: _short(self.names[what]) for what in ("target", "text", "annotator")}

    def texts(self, split: str) -> tuple[Text, ...]:
        """The texts of a split as the run read them."""
        return self.folder.texts(split)

    def store(self, split: str) -> AttentionStore:
        """The attention patterns of a split: from the cache, or read from the model again."""
        from harness.attention import AttentionStore, default_cache_dir, extract

        name = f"attention/{split}.json"
        if self.folder.has(name):
            known = self.folder.read(name)
            store = AttentionStore(Path(known["path"]), known["layers"], known["heads"], tuple(known["lengths"]))
            if store.path.exists():
                return store
        texts = self.texts(split)
        with output.progress(f"reading attention on {split}", len(texts)) as update:
            store = extract(self.target, texts, default_cache_dir(), progress=lambda done, _: update(done))
        self.folder.write(name, {"path": str(store.path), "layers": store.layers, "heads": store.heads, "lengths": store.lengths})
        return store


def open_run(path: str | Path, device: str = "cpu") -> Session:
    """The session of an existing run folder. Raises FolderError, one line, for anything else."""
    folder = RunFolder(Path(path))
    return Session(folder, device, folder.description())


def outcome_of(session: Session, full: bool = False) -> dict[str, Any]:
    """The run's result; of a run that was cut short, what it had found. Raises UserError if there is neither.

    full: with the largest program of each head in the place of the one worth its size.
    """
    from search.outcome import read, with_full

    found = read(session.folder)
    if found is None:
        path = session.folder.path
        raise UserError(f"{path}: the run is not finished; go on with: headscript run --out {path} …")
    if not session.folder.has("result.json"):
        output.note(f"{session.folder.path}: this run was cut short; what it had found follows")
    return with_full(found) if full else found


def begin_run(args: Namespace, path: Path, extra: dict[str, Any] | None = None, target: Target | None = None) -> Session:
    """Loads target and texts, reads the attention patterns, and begins (or goes on with) the run folder.

    `extra` are further settings that the outcome depends on; `target` is given where the model is loaded already.
    Raises UserError or FolderError, one line, before anything is written where something cannot be used.
    """
    from harness.annotate import load_annotator
    from harness.concepts import read_concepts
    from harness.domains import load_corpus, sources
    from harness.heads import early_heads, parse_heads
    from harness.locate import locate
    from harness.targets import load_target, prepare_domains

    check_writable(path)
    concepts = read_concepts(args.concepts)
    given = sources(args.text, args.column, args.target)
    corpus = load_corpus(given, args.seed, args.max_texts, args.hold_out)
    annotator = load_annotator(args.annotator) if args.annotator else None
    folder = RunFolder(path)

    def settings(fingerprint: str, heads: Sequence[Sequence[int]]) -> dict[str, Any]:
        return {
            "target": fingerprint,
            "domains": list(corpus.names),
            "held_out": list(corpus.held_out),
            "text": corpus.fingerprint,
            "heads": [list(h) for h in heads],
            "seed": args.seed,
            "max_tokens": args.max_tokens,
            "parsimony": args.parsimony,
            "max_rules": args.max_rules,
            "max_size": args.max_size,
            "max_set": args.max_set,
            "library_size": args.library_size,
            "evaluations": args.evaluations or EVALUATIONS_PER_HEAD * len(heads),
            "focus": None,
            "annotator": annotator.version if annotator else None,
            **({"concepts": {name: str(concept) for name, concept in concepts.items()}} if concepts else {}),
            **(extra or {}),
        }

    # What can be told without the model is told before it is loaded, which takes a while.
    early = None if target else early_heads(args.heads, locate(args.target), path)
    if folder.exists():
        known = folder.description()["settings"]
        folder.growth(settings(known["target"], early or known["heads"]))
    if target is None:
        output.note(f"{args.target}: loading the model")
        target = load_target(args.target, args.device)
    heads = parse_heads(args.heads, target.layers, target.heads, path)
    notes = [*corpus.notes, *target.notes, *unserved(target)]
    prepared, domains = {}, {}
    for split in SPLITS:
        prepared[split], domains[split], more = prepare_domains(
            target, corpus.texts[split], corpus.domains[split], args.max_tokens, annotator
        )
        notes += [f"{split}: {line}" for line in more]
    session = Session(folder, args.device, loaded=target)
    session.description = {
        "settings": settings(target.fingerprint, heads),
        "names": {
            "target": _portable(args.target),
            "text": _text(args.text, given),
            "annotator": args.annotator and _portable(args.annotator),
            "texts": {source.name: _portable(source.spec) for source in given},
        },
        "model": {"layers": target.layers, "heads": target.heads, "causal": target.causal, "windows": list(target.windows)},
        "versions": versions(),
        "notes": notes,
    }
    added = session.folder.start(session.description)
    session.description = session.folder.description()
    if added:
        output.note(f"{path}: goes on from what is there, with {', '.join(added)}")
    for line in notes:
        output.note(line)
    for split in SPLITS:
        if not session.folder.has(f"texts/{split}.json"):
            session.folder.write_texts(split, prepared[split], domains[split])
        session.store(split)
    return session


def unserved(target: Target) -> list[str]:
    """What to say at the start of a model whose heads can be explained but not replaced."""
    from harness.replace import served_heads

    try:
        served_heads(target.model)
    except UserError as error:
        return [f"{error}; its heads are explained, but `replace` will refuse this run"]
    return []


def check_same(target: Target, session: Session) -> None:
    """Raises UserError unless the target is the model of the run."""
    if target.fingerprint != session.settings["target"]:
        raise UserError(
            f"{session.folder.path}: made with another model than {target.name} "
            f"({session.settings['target']}, this one is {target.fingerprint}); give the run's own model"
        )


def check_writable(path: Path) -> None:
    """Raises UserError where the run folder cannot be made or written, before any work is done."""
    import os

    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: not a folder; name another one with --out")
    if not os.access(there, os.W_OK):
        raise UserError(f"{there}: no permission to write here; name another folder with --out")


def versions() -> dict[str, str]:
    """Versions of what a result depends on, and the platform."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _portable(name: str) -> str:
    """An absolute path for what is here, so that the run can be used from any folder; anything else is "demo" or a hub id."""
    path = Path(name).expanduser()
    return str(path.resolve()) if name != "demo" and path.exists() else name


def _text(text: list[str] | None, given: tuple[Source, ...]) -> str:
    """What the texts are called together."""
    if len(given) == 1:
        return _portable(given[0].spec)
    return MIXTURE if text in (None, [MIXTURE]) else ", ".join(source.name for source in given)


def _short(name: str | None) -> str | None:
    return Path(name).name if name and Path(name).is_absolute() else name
