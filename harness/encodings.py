"""What a tokenizer says of one of its texts, as plain data: the answers that its stand-in in the sandbox gives to programs."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from typing import Any

from dsl.text import Encoding

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
# What programs look up by name even where the text lacks it: punctuation and line breaks, as the families of tokenizers spell them.
MARKS = (*string.punctuation, "\n", "Ċ", "<0x0A>", "—", "“", "”", "’")


def encoding(
    tokenizer: Any, ids: Sequence[int], offsets: Sequence[tuple[int, int]], words: Sequence[int | None], added: Sequence[bool]
) -> Encoding:
    """The Encoding of one tokenised text; offsets, words and added as the tokenizer reports them, one for each of the ids.

    >>> encoding(tokenizer, [5], [(0, 2)], [0], [False]).decoded  # doctest: +SKIP
    ('Hi',)
    """
    return Encoding(
        offsets=tuple((int(a), int(b)) for a, b in offsets),
        words=tuple(words),
        added=tuple(bool(a) for a in added),
        decoded=tuple(tokenizer.decode([i]) for i in ids),
        facts=json.dumps(facts(tokenizer), sort_keys=True),
    )


def facts(tokenizer: Any) -> Mapping[str, Any]:
    """About the tokenizer, whatever the text.

    fast: it reports offsets and words. decoder: the specification, as tokenizer.json has it, of how tokens become a string
    (None: joined by spaces); slow tokenizers have none. skipped: ids that decode(skip_special_tokens=True) leaves out.
    clean_up: decode closes up spaces before punctuation, unless told otherwise, which closes_up says is possible at all.
    roles: {"bos_token": [token, id], …}; special: [token, id] of all; marks: {punctuation mark: id or None}; inputs: the
    entries of an encoding; size and vocab_size: len(tokenizer) and tokenizer.vocab_size; longest: model_max_length.
    """
    backend = tokenizer.backend_tokenizer if tokenizer.is_fast else None
    known = {f"{name}_token": getattr(tokenizer, f"{name}_token", None) for name in ROLES}
    special = list(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    decoder = backend.decoder if backend else None
    # Byte-pair tokenizers of transformers v5 never close up, even when asked to.
    forced = getattr(tokenizer, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", False)
    return {
        "fast": bool(tokenizer.is_fast),
        "decoder": json.loads(decoder.__getstate__()) if decoder else None,
        "skipped": [i for i, t in tokenizer.added_tokens_decoder.items() if t.special],
        "clean_up": bool(tokenizer.clean_up_tokenization_spaces),
        "closes_up": backend is None or type(backend.model).__name__ != "BPE" or bool(forced),
        "roles": {role: [str(t), tokenizer.convert_tokens_to_ids(str(t))] for role, t in known.items() if t is not None},
        "special": [[str(token), number] for token, number in special],
        "marks": {mark: tokenizer.convert_tokens_to_ids(mark) for form in ("", "▁", "Ġ") for mark in (form + m for m in MARKS)},
        "inputs": list(tokenizer.model_input_names),
        "size": len(tokenizer),
        "vocab_size": tokenizer.vocab_size,
        "longest": min(int(tokenizer.model_max_length), 1 << 40),
    }
