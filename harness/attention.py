"""Attention patterns of a target on texts, half precision, in a memory-mapped file that is written once.

One array (layers * heads, cells): the n x n matrices of all texts one after the other, row-major, for each head in turn.
Reading all texts of a head, or one text of a head, touches one contiguous stretch; never more than one batch of matrices
is held in memory while the file is written.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from dsl.text import Text
    from harness.targets import Target

FORMAT = "1"  # of the file: a change makes old files unknown
BATCH_BYTES = 2**28  # matrices of one batch, float32


@dataclass(frozen=True)
class AttentionStore:
    """Attention patterns on disk. A store can be pickled: it opens its file where it is used."""

    path: Path
    layers: int
    heads: int
    lengths: tuple[int, ...]  # tokens of each text

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First cell of each text, and at the end the number of cells."""
        starts = [0]
        for n in self.lengths:
            starts.append(starts[-1] + n * n)
        return tuple(starts)

    @cached_property
    def array(self) -> np.ndarray:
        """(layers * heads, cells) float16, memory-mapped, read-only."""
        import numpy as np

        array = np.load(self.path, mmap_mode="r")
        if array.shape != (self.layers * self.heads, self.offsets[-1]) or array.dtype != np.float16:
            raise ValueError(f"{self.path}: holds {array.dtype} {array.shape}, not the patterns of these texts")
        return array

    def index(self, layer: int, head: int) -> int:
        """Row of a head."""
        return layer * self.heads + head

    def head(self, index: int) -> np.ndarray:
        """(cells,) float16: all matrices of one head, text after text."""
        return self.array[index]

    def matrix(self, layer: int, head: int, text: int) -> np.ndarray:
        """(n, n) float16: query x key."""
        n, start = self.lengths[text], self.offsets[text]
        return self.array[self.index(layer, head), start : start + n * n].reshape(n, n)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "array"}  # a pickled memory map is a copy of the file


def default_cache_dir() -> Path:
    """$HEADSCRIPT_CACHE, else the folder "headscript" where this platform keeps caches."""
    if folder := os.environ.get("HEADSCRIPT_CACHE"):
        return Path(folder)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "headscript"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headscript"


def extract(
    target: Target,
    texts: Sequence[Text],
    folder: Path,
    batch_bytes: int = BATCH_BYTES,
    progress: Callable[[int, int], None] | None = None,
) -> AttentionStore:
    """The attention patterns of `target` on `texts`: read from `folder` if they are there, else computed and written.

    The file's name is a hash of target, texts and settings. It appears when it is complete, and not before; two processes
    that want the same file compute it once. `progress(done, total)` is called after each batch with numbers of texts.
    Raises UserError, one line, where the folder cannot be written or the disk is too small.
    """
    path = folder / f"attention-{_key(target, texts, batch_bytes)}.npy"
    store = AttentionStore(path, target.layers, target.heads, tuple(len(text) for text in texts))
    try:
        if _complete(store):
            return store
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with _locked(part) as file:
            if not _complete(store):  # else another process has written it meanwhile
                _check_space(store)
                _write(target, texts, store, file, batch_bytes, progress)
                os.replace(part, path)
    except OSError as error:
        raise UserError(
            f"{folder}: the attention patterns cannot be written ({error.strerror or error}); "
            "make room, or name another folder in HEADSCRIPT_CACHE"
        ) from error
    return store


def batches(lengths: Sequence[int], cost: int, budget: int, padding: bool = True) -> list[list[int]]:
    """Indices of texts in batches of similar lengths, longest first (so that a lack of memory shows at once).

    A batch of b texts padded to n tokens costs b * n * n * cost, which stays within `budget` unless b is 1. Without
    `padding` the texts of a batch have one length.
    """
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        longest = lengths[groups[-1][0]] if groups else 0
        fits = groups and (len(groups[-1]) + 1) * longest**2 * cost <= budget
        if fits and (padding or lengths[i] == longest):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _write(
    target: Target,
    texts: Sequence[Text],
    store: AttentionStore,
    file: IO[bytes],
    batch_bytes: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Writes the .npy file batch by batch, with plain writes: on a full disk a memory map would kill the process."""
    import numpy as np

    rows, cells = store.layers * store.heads, store.offsets[-1]
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float16)), "fortran_order": False, "shape": (rows, cells)}
    np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]
    start = file.tell()
    file.truncate(start + rows * cells * 2)
    done = 0
    for batch in batches(store.lengths, rows * 4, batch_bytes, target.padding):
        matrices = patterns(target, [texts[i].ids for i in batch])
        for matrix, i in zip(matrices, batch, strict=True):
            for row in range(rows):
                file.seek(start + (row * cells + store.offsets[i]) * 2)
                file.write(matrix[row].tobytes())
        done += len(batch)
        if progress is not None:
            progress(done, len(texts))
    file.flush()
    os.fsync(file.fileno())


def patterns(target: Target, ids: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
    """(layers * heads, n, n) float16 of each text of one right-padded batch; rows sum to 1, also where a sink takes part."""
    import torch

    from harness.probe import attentions

    width = max(len(row) for row in ids)
    pad = target.tokenizer.pad_token_id if target.tokenizer.pad_token_id is not None else target.tokenizer.eos_token_id
    padded = torch.full((len(ids), width), pad or 0)
    mask = torch.zeros((len(ids), width), dtype=torch.long)
    for b, row in enumerate(ids):
        padded[b, : len(row)] = torch.tensor(row)
        mask[b, : len(row)] = 1
    layers = attentions(target.model, padded.to(target.device), mask.to(target.device))  # per layer (B, H, Q, K)
    if target.sinks:
        layers = tuple(layer / layer.sum(-1, keepdim=True).clamp_min(1e-9) for layer in layers)
    half = [layer.half().cpu() for layer in layers]
    del layers
    for b, row in enumerate(ids):
        n = len(row)
        yield torch.cat([layer[b, :, :n, :n] for layer in half]).numpy()  # (layers * heads, n, n)


def _key(target: Target, texts: Sequence[Text], batch_bytes: int) -> str:
    """Hash of everything that the bytes of the file depend on; batches and devices change the last bit."""
    digest = hashlib.sha256(f"{FORMAT} {target.fingerprint} {target.device} {batch_bytes}{' sinks' * target.sinks}".encode())
    for text in texts:
        digest.update(f"{text.ids}".encode())
    return digest.hexdigest()[:24]


def _complete(store: AttentionStore) -> bool:
    """Whether the file is there and of the right shape (a file cut short by a copy, say, is written again)."""
    try:
        return store.array is not None
    except (OSError, ValueError, EOFError):
        return False


def _check_space(store: AttentionStore) -> None:
    size = store.layers * store.heads * store.offsets[-1] * 2
    free = shutil.disk_usage(store.path.parent).free
    if size > free:
        raise OSError(f"{size / 2**20:.0f} MiB are needed and {free / 2**20:.0f} MiB are free")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """An empty file to write, locked; removed at the end unless it was renamed.

    A killed process loses its lock, so the next one takes over its file and nothing is left lying about.
    """
    while True:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file, path):
                continue  # the process we waited for has renamed or removed it
            file.truncate(0)
            try:
                yield file
            finally:
                if _is_at(file, path):
                    path.unlink()
            return


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
