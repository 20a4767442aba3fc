"""Tiny random models with a tokenizer and texts, for the tests of replacement."""

from types import SimpleNamespace

import pytest

WORDS = ["the", "a", "cat", "dog", "bird", "sat", "ran", "saw", "on", "by", "mat", "tree", "big", "red", "and", "then"]
MARKS = [".", ",", "!", "?"]
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]
STORIES = (
    "the cat sat on the mat .",
    "a big dog ran by the red tree and then the dog sat .",
    "then a cat saw a bird !",
    "the dog ran , and the dog saw , and the cat saw a tree .",
    "the bird ran and ran and ran .",
)


def tiny_tokenizer(encoder):
    """A vocabulary of words. An encoder's texts stand between [CLS] and [SEP], the others begin with [CLS]."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(SPECIAL + WORDS + MARKS)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]" if encoder else "[CLS] $A", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names, **({"mask_token": "[MASK]"} if encoder else {}))


def tiny_model(name, auto=None):
    """A random model of two layers with four heads whose attention is far from uniform."""
    import torch
    import transformers

    sizes = {
        "vocab_size": len(SPECIAL + WORDS + MARKS),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 37,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    auto = auto or ("AutoModelForMaskedLM" if name == "bert" else "AutoModelForCausalLM")
    model = getattr(transformers, auto).from_config(transformers.CONFIG_MAPPING[name](**sizes))
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return model.eval()


@pytest.fixture(scope="session", params=["causal", "masked", "hidden"])
def any_tiny(request):
    """A tiny model of each kind of readout, with its tokenizer and texts."""
    return make_tiny(request.param)


@pytest.fixture(scope="session")
def tiny():
    """The function that gives a tiny model of a readout: causal, masked or hidden."""
    return make_tiny


def make_tiny(readout):
    from harness.tokens import view

    encoder = readout != "causal"
    model = tiny_model("bert" if encoder else "llama", "AutoModel" if readout == "hidden" else None)
    tokenizer = tiny_tokenizer(encoder)
    texts = [view(tokenizer, story, 64) for story in STORIES]
    return SimpleNamespace(readout=readout, model=model, tokenizer=tokenizer, texts=texts)
