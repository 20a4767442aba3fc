"""The attention store: equal to the model's own eager output, written whole or not at all."""

import pickle
import resource
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from harness import attention
from harness.attention import AttentionStore, batches, default_cache_dir, extract
from harness.errors import UserError
from harness.targets import load_target, prepare

WORDS = [*"abcdefghijklmnopqrstuvwxyz", "the", "cat", "sat", "on", "mat", ".", ",", "and", "dog", "ran"]
RAW = [
    "the cat sat on the mat .",
    "a dog ran",
    "the dog and the cat ran , and sat on a mat",
    "a b c d e f g h i j k l m",
    "x y z .",
]
LLAMA_LIKE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 48,
    "initializer_range": 0.5,  # patterns far from uniform
}
BERT_LIKE = {key: value for key, value in LLAMA_LIKE.items() if key != "num_key_value_heads"}
GPT2_LIKE = {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 48, "initializer_range": 0.5}
ARCHITECTURES = {
    "GPT2LMHeadModel": GPT2_LIKE,
    "LlamaForCausalLM": LLAMA_LIKE,
    "MistralForCausalLM": LLAMA_LIKE | {"sliding_window": 4},
    "Qwen3ForCausalLM": LLAMA_LIKE | {"head_dim": 4},
    "GPTNeoXForCausalLM": BERT_LIKE,
    "OPTForCausalLM": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 24, "vocab_size": 48}
    | {"word_embed_proj_dim": 16},
    "BloomForCausalLM": {"hidden_size": 16, "n_layer": 2, "n_head": 4, "vocab_size": 48, "initializer_range": 0.5},
    "BertForMaskedLM": BERT_LIKE,
    "BertModel": BERT_LIKE,
    "RobertaForMaskedLM": BERT_LIKE,
    "DistilBertForMaskedLM": {"dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 24, "vocab_size": 48},
    "AlbertForMaskedLM": BERT_LIKE | {"embedding_size": 8},
    "ElectraForMaskedLM": BERT_LIKE,
    "DebertaV2ForMaskedLM": BERT_LIKE,
    "ConvBertForMaskedLM": BERT_LIKE,  # its convolutions mix padding into the last tokens
}


def save(folder: Path, class_name: str, pad: bool = True) -> Path:
    torch.manual_seed(0)
    model_class = getattr(transformers, class_name)
    model_class(model_class.config_class(**ARCHITECTURES[class_name])).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["[UNK]", "[PAD]", *WORDS])}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"unk_token": "[UNK]"} | ({"pad_token": "[PAD]"} if pad else {})
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return load_target(str(save(tmp_path_factory.mktemp("gpt2"), "GPT2LMHeadModel")))


@pytest.fixture(scope="module")
def texts(gpt2):
    return prepare(gpt2, RAW, 12)[0]


@pytest.mark.parametrize("class_name", ARCHITECTURES)
@pytest.mark.parametrize("budget", [1, 2**28], ids=["one by one", "one padded batch"])
def test_equals_the_models_own_eager_output_on_single_texts(class_name, budget, tmp_path):
    folder = save(tmp_path / "model", class_name, pad=class_name != "LlamaForCausalLM")
    target = load_target(str(folder))
    prepared, _ = prepare(target, RAW, 12)
    store = extract(target, prepared, tmp_path / "cache", batch_bytes=budget)
    reference = getattr(transformers, class_name).from_pretrained(folder, attn_implementation="eager").eval()
    assert store.array.shape == (target.layers * target.heads, sum(len(text) ** 2 for text in prepared))
    for t, text in enumerate(prepared):
        with torch.no_grad():
            expected = reference(torch.tensor([text.ids]), output_attentions=True).attentions
        for layer in range(target.layers):
            for head in range(target.heads):
                found = store.matrix(layer, head, t)
                np.testing.assert_allclose(found, expected[layer][0, head].numpy(), atol=5e-4)
                assert found.dtype == np.float16
                if target.causal:
                    assert not np.triu(found, 1).any()
                assert (found.sum(1, dtype=np.float64) > 0.99).all()


def test_the_heads_view_is_all_matrices_in_text_order(gpt2, texts, tmp_path):
    store = extract(gpt2, texts, tmp_path)
    assert store.lengths == tuple(len(text) for text in texts)
    assert store.index(1, 2) == 6
    expected = np.concatenate([store.matrix(1, 2, t).ravel() for t in range(len(texts))])
    np.testing.assert_array_equal(store.head(6), expected)
    assert isinstance(store.head(6), np.memmap) and not store.head(6).flags.writeable


def test_a_second_extraction_reads_the_file(gpt2, texts, tmp_path, monkeypatch):
    first = extract(gpt2, texts, tmp_path)
    monkeypatch.setattr(attention, "patterns", None)
    second = extract(gpt2, texts, tmp_path)
    np.testing.assert_array_equal(first.array, second.array)
    assert [p.name for p in tmp_path.iterdir()] == [first.path.name]


def test_other_texts_or_another_target_have_another_file(gpt2, texts, tmp_path):
    other = load_target(str(save(tmp_path / "model", "LlamaForCausalLM")))
    paths = {extract(t, x, tmp_path).path for t, x in ((gpt2, texts), (gpt2, texts[1:]), (gpt2, texts[::-1]), (other, texts))}
    assert len(paths) == 4


def test_a_store_can_be_pickled_without_its_matrices(gpt2, texts, tmp_path):
    store = extract(gpt2, texts, tmp_path)
    assert store.array is not None
    data = pickle.dumps(store)
    assert len(data) < 2000
    np.testing.assert_array_equal(pickle.loads(data).matrix(0, 1, 2), store.matrix(0, 1, 2))


def test_a_damaged_file_is_written_again(gpt2, texts, tmp_path):
    store = extract(gpt2, texts, tmp_path)
    good = store.path.read_bytes()
    for bad in (b"", good[:-10], good[:50]):
        store.path.write_bytes(bad)
        assert extract(gpt2, texts, tmp_path).path.read_bytes() == good


def test_an_interruption_leaves_nothing(gpt2, texts, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(gpt2, texts, tmp_path, batch_bytes=1, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_taken_over(gpt2, texts, tmp_path):
    good = extract(gpt2, texts, tmp_path / "a").path
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / good.name).with_suffix(".part").write_bytes(b"x" * 10**6)
    assert extract(gpt2, texts, tmp_path / "b").path.read_bytes() == good.read_bytes()
    assert [p.name for p in (tmp_path / "b").iterdir()] == [good.name]


def test_two_at_once_compute_once(gpt2, texts, tmp_path, monkeypatch):
    calls, writing, go = [], threading.Event(), threading.Event()
    write = attention._write

    def slow(*args):
        calls.append(args)
        writing.set()
        assert go.wait(30)
        write(*args)

    monkeypatch.setattr(attention, "_write", slow)
    stores: list[AttentionStore] = []
    workers = [threading.Thread(target=lambda: stores.append(extract(gpt2, texts, tmp_path))) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert writing.wait(30)
    go.set()
    for worker in workers:
        worker.join(30)
    assert len(calls) == 1 and len(stores) == 2
    np.testing.assert_array_equal(stores[0].array, stores[1].array)


def test_progress_ends_with_all_texts(gpt2, texts, tmp_path):
    seen = []
    extract(gpt2, texts, tmp_path, batch_bytes=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, len(texts)) for i in range(len(texts))]


def test_a_full_disk_is_one_line_and_leaves_nothing(gpt2, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(attention.shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(UserError, match="are free") as caught:
        extract(gpt2, texts, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_write_that_fails_is_one_line_and_leaves_nothing(gpt2, texts, tmp_path):
    """A limit on file sizes fails writes as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(UserError, match="cannot be written") as caught:
            extract(gpt2, texts, tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(gpt2, texts, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        extract(gpt2, texts, tmp_path / "file" / "cache")


def test_batches_keep_to_the_budget():
    lengths = [int(n) for n in np.random.default_rng(0).integers(3, 97, 200)]
    groups = batches(lengths, cost=160, budget=10**7)
    assert sorted(i for group in groups for i in group) == list(range(200))
    assert all(len(g) * max(lengths[i] for i in g) ** 2 * 160 <= 10**7 for g in groups)
    assert len(groups) < 40
    assert batches([5, 9], cost=1, budget=1) == [[1], [0]]
    assert batches([5, 9, 5, 9], cost=1, budget=10**9, padding=False) == [[1, 3], [0, 2]]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the process's memory from /proc")
def test_memory_stays_at_one_batch(gpt2, tmp_path):
    """Many texts with a small budget: memory grows by a few batches, not by the file."""

    def private() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

    many, _ = prepare(gpt2, ["the cat sat on a mat . " * 9] * 1000, 60)
    extract(gpt2, many[:20], tmp_path, batch_bytes=2**20)
    before, seen = private(), []
    store = extract(gpt2, many, tmp_path, batch_bytes=2**20, progress=lambda done, total: seen.append(private()))
    assert store.path.stat().st_size > 50 * 2**20
    assert max(seen) - before < 20 * 2**20


def test_default_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("HEADSCRIPT_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("HEADSCRIPT_CACHE")
    assert default_cache_dir().name == "headscript"
