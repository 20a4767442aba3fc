"""A stand-in for a Hugging Face tokenizer that knows one text, from what the real one said of it (dsl.text.Encoding)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandbox.decoding import closed_up, decoder
from sandbox.encoding import BatchEncoding, Tokens
from sandbox.tensor import Tensor, plain

# Of a text that no tokenizer made: its tokens stand for themselves.
NO_FACTS: dict[str, Any] = {
    "fast": True, "decoder": {"type": "Fuse"}, "skipped": [], "clean_up": False, "closes_up": False, "roles": {}, "special": [],
    "marks": {}, "inputs": ["input_ids", "attention_mask"], "size": None, "vocab_size": None, "longest": 1 << 40,
}  # fmt: skip
HARMLESS = frozenset({"verbose", "padding_side", "stride"})  # of no consequence for one text that is neither cut nor padded


class OtherId:
    """The id of a token that the text lacks: unequal to all ids of the text, as long as the token is in the vocabulary."""

    __slots__ = ("_token", "_unknown")
    __array_priority__ = 1000

    def __init__(self, token: str, unknown: int | None):
        self._token, self._unknown = token, unknown

    def __eq__(self, other: object) -> Any:
        if type(other) is OtherId:
            return self._token == other._token
        equal = np.asarray(plain(other)) == self._unknown
        if self._unknown is not None and np.any(equal):
            raise ValueError(f"whether {self._token!r} is in the vocabulary is not known in the sandbox")
        if type(other) is Tensor:
            return Tensor(np.zeros(other.shape, bool))
        return np.zeros(other.shape, bool) if isinstance(other, np.ndarray) else False

    def __ne__(self, other: object) -> Any:
        equal = self == other
        return not equal if isinstance(equal, bool) else ~equal

    def __hash__(self) -> int:
        raise TypeError(f"the id of {self._token!r}, which is not in this text, can only be compared in the sandbox")

    def __bool__(self) -> bool:
        return True


def role(name: str, part: int) -> property:
    return property(lambda self: self._facts["roles"].get(f"{name}_token", (None, None))[part])


class Tokenizer:
    """Answers for the one text it was made from; any other string is an error, since no real tokenizer is at hand."""

    __slots__ = ("_added", "_decoder", "_facts", "_ids", "_of_id", "_offsets", "_text", "_tokens", "_words")

    padding_side = truncation_side = "right"

    def __init__(self, text: Mapping[str, Any]):
        n = len(text["tokens"])
        said = text.get("encoding")
        self._text, self._tokens = text["text"], tuple(text["tokens"])
        self._ids = tuple(text["ids"]) or tuple(range(n))
        self._facts: dict[str, Any] = json.loads(said["facts"]) if said else NO_FACTS
        special = tuple(text["special"]) or (False,) * n
        self._added: tuple[bool, ...] = tuple(said["added"]) if said else special
        self._offsets = [tuple(pair) for pair in (said or text)["offsets"]]
        self._words = tuple(said["words"]) if said else word_numbers(special, text["word_start"] or [True] * n)
        self._of_id = {number: token for token, number in self._facts["special"]} | dict(zip(self._ids, self._tokens, strict=True))
        if not said:
            own = {i: t for i, t, s in zip(self._ids, self._tokens, special, strict=True) if s}
            self._facts = NO_FACTS | {"special": [[t, i] for i, t in own.items()], "skipped": list(own)}
        self._decoder: Any = None

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        add_special_tokens: bool = True,
        padding: Any = False,
        truncation: Any = None,
        max_length: int | None = None,
        return_tensors: Any = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        **more: Any,
    ) -> BatchEncoding:
        batch = type(text) in (list, tuple) and len(text) == 1
        self._check(text[0] if batch else text)
        if text_pair is not None:
            raise ValueError("the tokenizer of the sandbox takes one text")
        if other := [name for name, value in more.items() if name not in HARMLESS and value not in (None, False)]:
            raise ValueError(f"{other[0]} is not available in the sandbox's tokenizer")
        keep = [i for i in range(len(self._tokens)) if add_special_tokens or not self._added[i]]
        self._check_length(len(keep), padding, truncation, max_length)
        n, inputs = len(keep), self._facts["inputs"]
        added = [int(self._added[i]) for i in keep]
        if return_offsets_mapping and not (self._facts["fast"] and self._offsets):
            raise NotImplementedError("return_offset_mapping is not available when using Python tokenizers")
        entries: dict[str, Any] = {"input_ids": [self._ids[i] for i in keep]}
        if "token_type_ids" in inputs if return_token_type_ids is None else return_token_type_ids:
            entries["token_type_ids"] = [0] * n
        if "attention_mask" in inputs if return_attention_mask is None else return_attention_mask:
            entries["attention_mask"] = [1] * n
        if return_special_tokens_mask:
            entries["special_tokens_mask"] = added
        if return_offsets_mapping:
            entries["offset_mapping"] = [self._offsets[i] for i in keep]
        if return_length:
            entries["length"] = n
        shaped = {name: as_asked(value, batch, return_tensors) for name, value in entries.items()}
        known = None
        if self._facts["fast"]:
            offsets = [self._offsets[i] for i in keep] if self._offsets else []
            tokens = [self._tokens[i] for i in keep]
            known = Tokens(entries["input_ids"], tokens, offsets, [self._words[i] for i in keep], [bool(a) for a in added])
        return BatchEncoding(shaped, known)

    def _check(self, text: Any) -> None:
        if type(text) is not str or text != self._text:
            raise ValueError("the tokenizer of the sandbox knows only the sentence of this call, as it is")

    def _check_length(self, n: int, padding: Any, truncation: Any, max_length: int | None) -> None:
        """Refuses what would cut or pad the text."""
        length = self._facts["longest"] if max_length is None else max_length
        cuts = truncation not in (None, False, "do_not_truncate") or (truncation is None and max_length is not None)
        if n > length and cuts:
            raise ValueError(f"the tokenizer of the sandbox does not cut the text (max_length={length})")
        if padding == "max_length" and n < length < 1 << 40:
            raise ValueError(f"the tokenizer of the sandbox does not pad the text (max_length={length})")

    def encode_plus(self, text: Any = None, **options: Any) -> BatchEncoding:
        return self(text, **options)

    def batch_encode_plus(self, batch: Any, **options: Any) -> BatchEncoding:
        return self(list(batch), **options)

    def encode(self, text: Any, text_pair: Any = None, add_special_tokens: bool = True, **options: Any) -> Any:
        return self(text, text_pair, add_special_tokens, **options)["input_ids"]

    def tokenize(self, text: Any, pair: Any = None, add_special_tokens: bool = False, **options: Any) -> list[str]:
        return self(text, pair, add_special_tokens, **options).tokens()

    def _token(self, number: Any) -> str:
        try:
            return self._of_id[int(number)]
        except (KeyError, TypeError):
            raise ValueError("the tokenizer of the sandbox knows only the ids of this text") from None

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        ids = plain(ids)
        if isinstance(ids, (int, np.integer)) or (isinstance(ids, np.ndarray) and ids.ndim == 0):
            return self._token(ids)
        skipped = {number for _, number in self._facts["special"]} if skip_special_tokens else ()
        return [self._token(number) for number in ids if int(number) not in skipped]

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        return self._number(tokens) if type(tokens) is str else [self._number(token) for token in tokens]

    def _number(self, token: str) -> Any:
        known = self._facts["marks"] | {t: number for number, t in self._of_id.items()}
        return known[token] if token in known else OtherId(token, self.unk_token_id)

    def convert_tokens_to_string(self, tokens: Any) -> str:
        if self._decoder is None:
            self._decoder = decoder(self._facts["decoder"])
        if not self._facts["fast"]:
            raise ValueError("decode is not available in the sandbox for a tokenizer without a tokenizer.json")
        return self._decoder(list(tokens))

    def decode(
        self, ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None, **_: Any
    ) -> Any:
        ids = ids["input_ids"] if type(ids) is BatchEncoding else ids
        ids = plain(ids).tolist() if type(ids) in (Tensor, np.ndarray) or isinstance(ids, np.generic) else ids
        listed = [plain(i).tolist() if type(i) in (Tensor, np.ndarray) else i for i in ([ids] if type(ids) is int else ids)]
        if listed and type(listed[0]) in (list, tuple):
            return [self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in listed]
        skipped = self._facts["skipped"] if skip_special_tokens else ()
        text = self.convert_tokens_to_string([self._token(i) for i in listed if int(i) not in skipped])
        wanted = self._facts["clean_up"] if clean_up_tokenization_spaces is None else clean_up_tokenization_spaces
        return closed_up(text) if wanted and self._facts["closes_up"] else text

    def batch_decode(self, sequences: Any, skip_special_tokens: bool = False, **options: Any) -> list[str]:
        found = [self.decode(ids, skip_special_tokens, **options) for ids in plain(sequences)]
        # A flat list of ids is one text.
        return found if not found or np.ndim(plain(sequences)[0]) else [self.decode(sequences, skip_special_tokens, **options)]

    def get_special_tokens_mask(self, ids: Any, _: Any = None, already_has_special_tokens: bool = False) -> list[int]:
        if not already_has_special_tokens:
            raise NotImplementedError("get_special_tokens_mask needs already_has_special_tokens=True")
        return [int(int(number) in self.all_special_ids) for number in plain(ids)]

    @property
    def is_fast(self) -> bool:
        return self._facts["fast"]

    @property
    def all_special_tokens(self) -> list[str]:
        return [token for token, _ in self._facts["special"]]

    @property
    def all_special_ids(self) -> list[int]:
        return [number for _, number in self._facts["special"]]

    @property
    def special_tokens_map(self) -> dict[str, str]:
        return {name: token for name, (token, _) in self._facts["roles"].items()}

    @property
    def model_input_names(self) -> list[str]:
        return list(self._facts["inputs"])

    @property
    def model_max_length(self) -> int:
        return self._facts["longest"]

    @property
    def vocab_size(self) -> int:
        return self._size("vocab_size")

    def __len__(self) -> int:
        return self._size("size")

    def __bool__(self) -> bool:
        return True

    def _size(self, which: str) -> int:
        if self._facts[which] is None:
            raise ValueError("no tokenizer made this text: the size of the vocabulary is unknown")
        return self._facts[which]

    bos_token, bos_token_id = role("bos", 0), role("bos", 1)
    eos_token, eos_token_id = role("eos", 0), role("eos", 1)
    cls_token, cls_token_id = role("cls", 0), role("cls", 1)
    sep_token, sep_token_id = role("sep", 0), role("sep", 1)
    pad_token, pad_token_id = role("pad", 0), role("pad", 1)
    unk_token, unk_token_id = role("unk", 0), role("unk", 1)
    mask_token, mask_token_id = role("mask", 0), role("mask", 1)


def as_asked(value: Any, batch: bool, return_tensors: Any) -> Any:
    """One entry of an encoding in the shape that was asked for; a number stands for the batch's list of it."""
    rows = [value]
    if return_tensors == "np":
        return np.array(rows)
    if return_tensors == "pt":
        return Tensor(np.array(rows))
    if return_tensors is not None:
        raise ValueError(f"return_tensors={return_tensors!r} is not available in the sandbox: use 'pt' or 'np'")
    return rows if batch or type(value) is int else value


def word_numbers(special: Sequence[bool], starts: Sequence[bool]) -> tuple[int | None, ...]:
    """Number of the word of each token, counted at word starts; None for special tokens."""
    numbers: list[int | None] = []
    word = -1
    for is_special, start in zip(special, starts, strict=True):
        word += not is_special and (start or word < 0)
        numbers.append(None if is_special else word)
    return tuple(numbers)
