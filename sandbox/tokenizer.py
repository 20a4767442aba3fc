"""A stand-in for a Hugging Face tokenizer that knows one text: its tokens, ids, offsets and word starts, nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

ROLES = {
    "[CLS]": ("cls",), "[SEP]": ("sep",), "[PAD]": ("pad",), "[UNK]": ("unk",), "[MASK]": ("mask",), "<pad>": ("pad",),
    "<s>": ("bos", "cls"), "</s>": ("eos", "sep"), "<unk>": ("unk",), "<mask>": ("mask",),
    "<|endoftext|>": ("bos", "eos", "unk"), "<|begin_of_text|>": ("bos",), "<bos>": ("bos",), "<eos>": ("eos",),
}  # fmt: skip
BYTES = re.compile("(?:<0x[0-9A-F]{2}>)+")
CLOSE_UP = frozenset({" .", " ?", " !", " ,", " n't", " 'm", " 's", " 've", " 're"})  # as WordPiece decoders do


class Tensor:
    """Integers in one or two dimensions, with what programs ask of a torch tensor or a nested list."""

    __slots__ = ("_array",)

    def __init__(self, values: Any):
        self._array = np.array(values, dtype=np.int64)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def ndim(self) -> int:
        return self._array.ndim

    def size(self, dim: int | None = None) -> Any:
        return self._array.shape if dim is None else self._array.shape[dim]

    def tolist(self) -> Any:
        return self._array.tolist()

    def numpy(self) -> np.ndarray:
        return self._array.copy()

    def numel(self) -> int:
        return self._array.size

    def item(self) -> int:
        return self._array.item()

    def squeeze(self, dim: int | None = None) -> Tensor:
        return Tensor(self._array.squeeze() if dim is None or self._array.shape[dim] == 1 else self._array)

    def flatten(self) -> Tensor:
        return Tensor(self._array.ravel())

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, at: Any) -> Any:
        part = self._array[at]
        return Tensor(part) if isinstance(part, np.ndarray) else int(part)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self._array.astype(dtype or np.int64)

    def __contains__(self, value: object) -> bool:
        return value in self._array.ravel().tolist()

    def __eq__(self, other: object) -> Any:
        return self._array == (other._array if type(other) is Tensor else other)

    def __ne__(self, other: object) -> Any:
        return ~(self == other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"tensor({self._array.tolist()})"


class Encoding:
    """What calling the tokenizer returns: a mapping, whose entries are attributes too."""

    __slots__ = ("_entries", "_tokens", "_words")

    def __init__(self, entries: dict[str, Any], tokens: Sequence[str], words: Sequence[int | None]):
        self._entries, self._tokens, self._words = entries, tuple(tokens), tuple(words)

    def __getitem__(self, name: str) -> Any:
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def keys(self) -> list[str]:
        return list(self._entries)

    def values(self) -> list[Any]:
        return list(self._entries.values())

    def items(self) -> list[tuple[str, Any]]:
        return list(self._entries.items())

    def get(self, name: str, default: Any = None) -> Any:
        return self._entries.get(name, default)

    def to(self, *_: Any) -> Encoding:
        return self

    @property
    def input_ids(self) -> Any:
        return self._entries["input_ids"]

    @property
    def attention_mask(self) -> Any:
        return self._entries["attention_mask"]

    @property
    def token_type_ids(self) -> Any:
        return self._entries["token_type_ids"]

    @property
    def offset_mapping(self) -> Any:
        if "offset_mapping" not in self._entries:
            raise AttributeError("offset_mapping needs return_offsets_mapping=True")
        return self._entries["offset_mapping"]

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        return list(self._words)

    def tokens(self, batch_index: int = 0) -> list[str]:
        return list(self._tokens)


def role(suffix: str, name: str) -> property:
    return property(lambda self: (self._role_tokens if suffix == "token" else self._role_ids).get(name))


class Tokenizer:
    """Answers for the one text it was made from; any other string is an error, since no real tokenizer is at hand."""

    __slots__ = ("_ids", "_of_id", "_offsets", "_role_ids", "_role_tokens", "_special", "_text", "_tokens", "_words")

    is_fast = True

    def __init__(self, text: Mapping[str, Any]):
        n = len(text["tokens"])
        self._text, self._tokens = text["text"], tuple(text["tokens"])
        self._ids = tuple(text["ids"]) or tuple(range(n))
        self._offsets = tuple(tuple(pair) for pair in text["offsets"])
        self._special = tuple(text["special"]) or (False,) * n
        self._of_id = dict(zip(self._ids, self._tokens, strict=True))
        self._words = word_numbers(self._special, text["word_start"] or [True] * n)
        named = [(r, t, i) for i, t in self._of_id.items() for r in ROLES.get(t, ())]
        self._role_tokens = {r: t for r, t, _ in named}
        self._role_ids = {r: i for r, _, i in named}

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        add_special_tokens: bool = True,
        return_tensors: Any = None,
        return_offsets_mapping: bool = False,
        **_: Any,
    ) -> Encoding:
        batch = type(text) in (list, tuple) and len(text) == 1
        self._check(text[0] if batch else text)
        if text_pair is not None:
            raise ValueError("the tokenizer of the sandbox takes one text")
        keep = [i for i in range(len(self._tokens)) if add_special_tokens or not self._special[i]]
        entries: dict[str, Any] = {
            "input_ids": [self._ids[i] for i in keep],
            "token_type_ids": [0] * len(keep),
            "attention_mask": [1] * len(keep),
        }
        if return_offsets_mapping:
            if not self._offsets:
                raise ValueError("this text has no character offsets")
            entries["offset_mapping"] = [self._offsets[i] for i in keep]
        shape: Callable[[Any], Any]
        if return_tensors == "np":
            shape = lambda values: np.array([values])  # noqa: E731
        elif return_tensors is not None:
            shape = lambda values: Tensor([values])  # noqa: E731
        else:
            shape = lambda values: [list(values)] if batch else list(values)  # noqa: E731
        shaped = {name: shape(values) for name, values in entries.items()}
        return Encoding(shaped, [self._tokens[i] for i in keep], [self._words[i] for i in keep])

    def _check(self, text: Any) -> None:
        if type(text) is not str or text.strip() != self._text.strip():
            raise ValueError("the tokenizer of the sandbox knows only the sentence of this call")

    def encode_plus(self, text: Any = None, **options: Any) -> Encoding:
        return self(text, **options)

    def encode(self, text: Any, add_special_tokens: bool = True, return_tensors: Any = None, **_: Any) -> Any:
        return self(text, add_special_tokens=add_special_tokens, return_tensors=return_tensors)["input_ids"]

    def tokenize(self, text: Any, add_special_tokens: bool = False, **_: Any) -> list[str]:
        return self(text, add_special_tokens=add_special_tokens).tokens()

    def _token(self, number: Any) -> str:
        try:
            return self._of_id[int(number)]
        except (KeyError, TypeError):
            raise ValueError("the tokenizer of the sandbox knows only the ids of this text") from None

    def _numbers(self, ids: Any) -> list[int]:
        if type(ids) is int or isinstance(ids, np.integer):
            return [int(ids)]
        values = ids.tolist() if type(ids) in (Tensor, np.ndarray) else list(ids)
        if len(values) == 1 and type(values[0]) in (list, Tensor):
            return self._numbers(values[0])
        return [values] if type(values) is int else values

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        if type(ids) is int or isinstance(ids, np.integer):
            return self._token(ids)
        special = {i for i, s in zip(self._ids, self._special, strict=True) if s} if skip_special_tokens else ()
        return [self._token(number) for number in self._numbers(ids) if number not in special]

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        known = {token: number for number, token in self._of_id.items()}
        if type(tokens) is str:
            return known.get(tokens, self._role_ids.get("unk"))
        return [known.get(token, self._role_ids.get("unk")) for token in tokens]

    def convert_tokens_to_string(self, tokens: Any) -> str:
        return joined(list(tokens))

    def decode(self, ids: Any, skip_special_tokens: bool = False, **_: Any) -> str:
        return joined(self.convert_ids_to_tokens(self._numbers(ids), skip_special_tokens))

    def batch_decode(self, batch: Any, skip_special_tokens: bool = False, **_: Any) -> list[str]:
        return [self.decode(ids, skip_special_tokens) for ids in batch]

    def get_special_tokens_mask(self, *_: Any, **__: Any) -> list[int]:
        return [int(special) for special in self._special]

    @property
    def all_special_tokens(self) -> list[str]:
        return list(dict.fromkeys(t for t, special in zip(self._tokens, self._special, strict=True) if special))

    @property
    def all_special_ids(self) -> list[int]:
        return list(dict.fromkeys(i for i, special in zip(self._ids, self._special, strict=True) if special))

    @property
    def special_tokens_map(self) -> dict[str, str]:
        return {f"{name}_token": token for name, token in self._role_tokens.items()}

    bos_token, bos_token_id = role("token", "bos"), role("id", "bos")
    eos_token, eos_token_id = role("token", "eos"), role("id", "eos")
    cls_token, cls_token_id = role("token", "cls"), role("id", "cls")
    sep_token, sep_token_id = role("token", "sep"), role("id", "sep")
    pad_token, pad_token_id = role("token", "pad"), role("id", "pad")
    unk_token, unk_token_id = role("token", "unk"), role("id", "unk")
    mask_token, mask_token_id = role("token", "mask"), role("id", "mask")


def word_numbers(special: Sequence[bool], starts: Sequence[bool]) -> tuple[int | None, ...]:
    """Number of the word of each token, counted at word starts; None for special tokens."""
    numbers: list[int | None] = []
    word = -1
    for is_special, start in zip(special, starts, strict=True):
        word += not is_special and (start or word < 0)
        numbers.append(None if is_special else word)
    return tuple(numbers)


def joined(tokens: list[str]) -> str:
    """Tokens as text, by the markers of the common tokenizer families: SentencePiece, byte-level BPE, WordPiece."""
    if any(token[:1] in ("▁", "Ġ", "Ċ") for token in tokens) or any(BYTES.match(token) for token in tokens):
        text = BYTES.sub(lambda m: bytes.fromhex(m[0][3:-1].replace("><0x", "")).decode("utf-8", "replace"), "".join(tokens))
        return text.replace("▁", " ").replace("Ġ", " ").replace("Ċ", "\n").removeprefix(" ")
    pieces = tokens[:1]
    for token in tokens[1:]:
        piece = token[2:] if token.startswith("##") else " " + token
        pieces.append(piece[1:] if piece in CLOSE_UP else piece)
    return "".join(pieces)
