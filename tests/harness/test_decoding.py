"""Decoded tokens: joined they are the text, different pieces stay different, one word is one string in every family."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.decoding import decode_piece, decoded, family_of
from harness import decoding
from harness.decoding import tokenizer_family
from harness.tokens import view
from tests.harness.test_tokens import BUILDERS, byte_level_bpe, minilm, sentence_piece, stories260k, word_piece

FAMILIES = {
    byte_level_bpe: "byte-level",
    sentence_piece: "sentencepiece",
    stories260k: "sentencepiece",
    word_piece: "wordpiece",
    minilm: "wordpiece",
}
TEXTS = ("The dog sat, and the dog ran.\nThe end", "a  b\n\n\tc", "don't 'say' so; 3.5% off!")


@pytest.fixture(scope="module", params=BUILDERS, ids=lambda build: build.__name__)
def known(request):
    return request.param(), FAMILIES[request.param]


def shown(seen) -> str:
    return "".join(t for t, special in zip(seen.tokens, seen.special, strict=True) if not special)


def test_the_family_is_what_decoder_and_vocabulary_say(known):
    tokenizer, family = known
    assert tokenizer_family(tokenizer) == family == family_of(tokenizer.get_vocab())


@pytest.mark.parametrize("text", TEXTS)
def test_joined_tokens_are_the_text(known, text):
    tokenizer, family = known
    seen = view(tokenizer, text, 10_000)
    if tokenizer.unk_token_id in seen.ids:
        pytest.skip("this tokenizer does not know all characters")
    if family == "wordpiece":  # lower case, and white space is one space or none
        assert shown(seen) == " ".join(text.lower().split())
    else:  # SentencePiece puts a space before the text
        assert shown(seen).removeprefix(" " if family == "sentencepiece" else "") == text


def test_no_marks_are_left_and_special_tokens_keep_their_names(known):
    tokenizer, _ = known
    seen = view(tokenizer, TEXTS[0], 10_000)
    for token, piece, special in zip(seen.tokens, seen.pieces, seen.special, strict=True):
        assert token == piece if special else not set("▁ĠĊ") & set(token) and not token.startswith("##")


def test_one_word_is_one_string_in_every_family(known):
    tokenizer, family = known
    seen = view(tokenizer, "see the dog and the cat", 10_000)
    spelled = {"byte-level": "Ġthe", "sentencepiece": "▁the", "wordpiece": "the"}[family]
    assert spelled in seen.pieces and {t for t, p in zip(seen.tokens, seen.pieces, strict=True) if p == spelled} == {" the"}


def test_different_pieces_are_different_tokens(known):
    tokenizer, family = known
    if family == "wordpiece":
        pytest.skip('"ing" and "##ing" are one string: where a word begins, the text tells')
    added = set(tokenizer.added_tokens_decoder)
    pieces = [p for p, i in tokenizer.get_vocab().items() if i not in added]
    tokens = [decode_piece(p, family) for p in pieces]
    twice = {t for t in tokens if tokens.count(t) > 1}
    # SentencePiece has a byte for every character that it also has as a piece; only the bytes of others occur.
    assert all(family == "sentencepiece" and len(t) == 1 for t in twice)


@given(st.binary(min_size=1, max_size=6), st.binary(min_size=1, max_size=6))
def test_bytes_decode_injectively(a, b):
    spell = spelling()
    one, other = (decode_piece("".join(spell[x] for x in content), "byte-level") for content in (a, b))
    assert (one == other) == (a == b)


@given(st.text(st.sampled_from("<0x3CE>é😀 \n"), min_size=1, max_size=8))
def test_whole_characters_are_themselves(text):
    spell = spelling()
    token = decode_piece("".join(spell[x] for x in text.encode()), "byte-level")
    assert token.replace("<0x3C>", "<") == text


def spelling() -> dict[int, str]:
    """Byte to character, as GPT-2's tokenizer spells bytes."""
    from tokenizers.pre_tokenizers import ByteLevel

    table: dict[int, str] = {}
    for point in [*range(0x250), 0x1F600, *range(0x800, 0x10000, 0x400), *range(0x10000, 0x110000, 0x10000), 0x10FFFF]:
        if not 0xD800 <= point < 0xE000:
            ((piece, _),) = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(chr(point))
            table |= dict(zip(chr(point).encode(), piece, strict=True))
    return {b: chr(b) for b in range(256)} | table  # bytes that no UTF-8 holds are printable as they are


def test_a_space_is_where_the_text_has_one():
    offsets = [(0, 3), (4, 6), (6, 9), (9, 10), (11, 14)]
    pieces = ["the", "un", "##fit", ".", "the"]
    assert decoded(pieces, "wordpiece", text="the unfit.\nthe", offsets=offsets) == ("the", " un", "fit", ".", " the")
    assert decoded(["the</w>", "unfit</w>"], "suffix", text="the unfit", offsets=[(0, 3), (4, 9)]) == ("the", " unfit")


def test_kept_tokens_are_themselves():
    assert decoded(["<s>", "Ġa", "Ċ"], "byte-level", [True, False, True]) == ("<s>", " a", "Ċ")
    assert decoded(["Ġa", "Ċ", "ĉ"], "byte-level") == (" a", "\n", "\t")


def test_a_vocabulary_has_the_last_word_against_a_decoder_that_is_not_its_own(known):
    from tokenizers import decoders

    tokenizer, family = known
    own = tokenizer.backend_tokenizer.decoder
    strange = {
        "byte-level": decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]),
        "sentencepiece": decoders.ByteLevel(),
        "wordpiece": decoders.Metaspace(),
    }[family]
    pieces = list(tokenizer.get_vocab())
    names = {"byte-level": "sentencepiece", "sentencepiece": "byte-level", "wordpiece": "sentencepiece"}
    assert family_of(pieces, names[family]) == family
    assert family_of(pieces, family) == family
    try:
        tokenizer.backend_tokenizer.decoder = strange
        decoding._known.pop(tokenizer, None)
        assert tokenizer_family(tokenizer) == family
    finally:
        tokenizer.backend_tokenizer.decoder = own
        decoding._known.pop(tokenizer, None)
    assert family_of(["a", "b"], "byte-level") == "byte-level"  # no marks that could speak against it
