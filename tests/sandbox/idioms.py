"""What programs ask of a tokenizer: expressions over `tokenizer`, `sentence`, and these names, which stand for what is usual.

    e, p, b, o: encodings (plain, return_tensors="pt", of a list of one sentence, with offsets)
    ids, t, i: ids as a list, as a tensor of one dimension, and the number of a token in the middle

EXPRESSIONS answer with anything; BODIES set `values`, one for each of the n tokens.
"""

# ruff: noqa: E501  # a line of EXPRESSIONS is one of them, read line by line

from __future__ import annotations

NAMES = """\
e = tokenizer(sentence)
p = tokenizer(sentence, return_tensors="pt")
b = tokenizer([sentence])
o = tokenizer(sentence, return_offsets_mapping=True)
ids = e["input_ids"]
t = p.input_ids[0]
i = len(ids) // 2
"""

EXPRESSIONS = """
dict(e)
list(e)
list(e.keys())
dict(p.items())
e.values()
e.get("input_ids")
e.get("nothing", 7)
"input_ids" in e, "offset_mapping" in e, "token_type_ids" in e
len(e)
e["input_ids"][0], e.input_ids[-1]
b["input_ids"][0]
b.input_ids
e.tokens()
e.tokens(0)
b.tokens(0)
e.word_ids()
e.word_ids(0), e.word_ids(batch_index=0)
e.sequence_ids()
e.encodings[0].tokens, e.encodings[0].ids, e.encodings[0].offsets
e[0].word_ids, e[0].tokens, e[0].special_tokens_mask, e[0].type_ids, e[0].attention_mask
e.is_fast
dict(p)
p["input_ids"]
p.input_ids
p.get("input_ids")
p.input_ids.shape, p.input_ids.shape[1], t.shape[0], len(t), t.size(0), p.input_ids.size(), p.input_ids.size(-1), t.dim(), t.numel()
p.input_ids.squeeze(), p.input_ids.squeeze(0), p.input_ids.squeeze(1), p["input_ids"].squeeze().tolist()
p.input_ids.view(-1), p.input_ids.view(-1).tolist(), p.input_ids.reshape(-1), p.input_ids.flatten(), t.view(1, -1), t.view(len(t), 1)
t.unsqueeze(0), t.unsqueeze(1), t.unsqueeze(-1), t[None, :], t[:, None]
t.unsqueeze(0) == t.unsqueeze(1)
(t.unsqueeze(0) == t.unsqueeze(1)).float().numpy().tolist()
(t[:, None] == t[None, :]).int().tolist()
(t == t[i]).nonzero(), (t == t[i]).nonzero().squeeze(-1).tolist(), (t == t[i]).nonzero(as_tuple=True)[0].tolist()
(t == t[i]).sum(), (t == t[i]).sum().item(), int((t == t[i]).any()), bool((t == t[0]).all())
t[0].item(), int(t[i]), t[-1].item(), float(t[i]), [int(x) for x in t], [x.item() for x in t], t[1:].tolist(), t[:-1]
t.tolist(), t.numpy(), t.numpy().tolist(), t.detach().cpu().numpy(), p.input_ids.cpu()[0].tolist(), t.long().tolist(), list(map(int, t))
t[0] == t[0], t[i] == t[0], t[i] != ids[0], t[i] == ids[i], bool(t[i] == t[i]), 3 == t[i], ids[i] == t[i], t[i] > 5, t[i] <= ids[0]
t[i] == None, t[i] == "a", t[i] != "a", t[0] is None
t[i] in [ids[i]], t[i] in ids, ids[i] in t, ids[i] in t.tolist(), ids[i] in p.input_ids, t.tolist().index(ids[i]), ids.count(ids[i])
t + 1, t - t[0], t * 2, -t, t % 7, t // 2, t / 2, 1 - t, (t == t[i]) & (t != t[0]), (t == t[i]) | (t == t[0]), ~(t == t[i])
t * 0.5, 0.25 * t, t.float() * 0.1, (t == t[i]).float() * 0.3
np.array(t), np.asarray(ids) == t[i].item(), np.where(t == t[i], 1.0, 0.0), np.zeros(len(t))[(t == t[i]).numpy()], np.isin(t, [ids[i]])
np.array(t)[:, None] == np.array(t)[None, :], np.equal.outer(t.numpy(), t.numpy()), np.array([int(x) for x in t]) == ids[i]
str(t[i]), f"{t[i]}", f"{t[i].item()}", sorted(ids), [ids[i]][t[i] - t[i]], max(ids), sum(x.item() for x in t)
{x.item() for x in t}, {int(x): k for k, x in enumerate(t)}
tokenizer(sentence, return_tensors="np")["input_ids"], tokenizer(sentence, return_tensors="np").input_ids[0].tolist()
tokenizer(sentence, return_tensors="np").attention_mask.sum(), tokenizer([sentence], return_tensors="np").input_ids.shape
tokenizer([sentence], return_tensors="pt").input_ids, tokenizer([sentence], padding=True, truncation=True, return_tensors="pt")["input_ids"]
tokenizer(sentence, add_special_tokens=False).input_ids, tokenizer(sentence, add_special_tokens=False, return_tensors="pt").input_ids[0]
tokenizer(sentence, add_special_tokens=False).word_ids(), tokenizer(sentence, add_special_tokens=False).tokens()
dict(tokenizer(sentence, return_special_tokens_mask=True)), tokenizer(sentence, return_special_tokens_mask=True)["special_tokens_mask"]
dict(tokenizer(sentence, return_attention_mask=False, return_token_type_ids=True)), tokenizer(sentence, return_length=True)["length"]
dict(tokenizer(sentence, return_offsets_mapping=True, return_tensors="pt")), tokenizer([sentence], return_offsets_mapping=True)["offset_mapping"]
tokenizer(sentence, truncation=True, max_length=512).input_ids, tokenizer(text=sentence)["input_ids"], tokenizer(sentence, padding=False).input_ids
tokenizer(sentence, return_tensors="pt").to("cpu").input_ids
o["offset_mapping"], o.offset_mapping, o["offset_mapping"][i], [sentence[a:b] for a, b in o["offset_mapping"]]
[b - a for a, b in o.offset_mapping], [sentence[max(0, a - 1) : a] == " " for a, b in o.offset_mapping], o.get("offset_mapping")
[e.char_to_token(k) for k in range(len(sentence) + 1)], e.char_to_token(0, 0)
[e.char_to_word(k) for k in range(len(sentence))]
[e.token_to_chars(k) for k in range(len(ids))], [s.start for s in map(e.token_to_chars, range(len(ids))) if s], [s.end for s in map(e.token_to_chars, range(len(ids))) if s]
[e.token_to_word(k) for k in range(len(ids))], [e.token_to_sequence(k) for k in range(len(ids))]
[e.word_to_tokens(w) for w in e.word_ids() if w is not None], [e.word_to_tokens(w).start for w in e.word_ids() if w is not None]
[e.word_to_chars(w) for w in e.word_ids() if w is not None], e.word_to_tokens(999)
tokenizer.encode(sentence), tokenizer.encode(sentence, add_special_tokens=False), tokenizer.encode(sentence, return_tensors="pt")[0].tolist()
tokenizer.tokenize(sentence), tokenizer.tokenize(sentence, add_special_tokens=True)
tokenizer.convert_ids_to_tokens(ids), tokenizer.convert_ids_to_tokens(t), tokenizer.convert_ids_to_tokens(ids[i]), tokenizer.convert_ids_to_tokens(t[i].item())
tokenizer.convert_ids_to_tokens([ids[i]]), tokenizer.convert_ids_to_tokens(ids[i:]), tokenizer.convert_ids_to_tokens(t.numpy()), tokenizer.convert_ids_to_tokens(int(t[i]))
tokenizer.convert_ids_to_tokens(ids, skip_special_tokens=True), tokenizer.convert_ids_to_tokens(np.array(ids)), [tokenizer.convert_ids_to_tokens(int(x)) for x in t]
tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(ids)), tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(ids[i]))
tokenizer.convert_tokens_to_ids("."), tokenizer.convert_tokens_to_ids([",", "!"]), ids[i] == tokenizer.convert_tokens_to_ids(".")
tokenizer.convert_tokens_to_string(tokenizer.convert_ids_to_tokens(ids)), tokenizer.convert_tokens_to_string([tokenizer.convert_ids_to_tokens(ids[i])])
tokenizer.decode(ids), tokenizer.decode(t), tokenizer.decode(t.tolist()), tokenizer.decode(ids, skip_special_tokens=True), tokenizer.decode(p.input_ids[0])
tokenizer.decode(ids[i]), tokenizer.decode([ids[i]]), tokenizer.decode(t[i]), tokenizer.decode(t[i].item()), tokenizer.decode(int(t[i])), tokenizer.decode([t[i].item()])
[tokenizer.decode([x]) for x in ids], [tokenizer.decode(x) for x in t], [tokenizer.decode(x, skip_special_tokens=True) for x in ids]
[tokenizer.decode([x]).strip() for x in ids], [len(tokenizer.decode(ids[: k + 1])) for k in range(len(ids))], [tokenizer.decode(ids[k:]) for k in range(len(ids))]
tokenizer.decode(ids, clean_up_tokenization_spaces=False), tokenizer.decode(ids, clean_up_tokenization_spaces=True), tokenizer.decode(np.array(ids)), tokenizer.decode([])
tokenizer.decode(b.input_ids), tokenizer.batch_decode(b.input_ids), tokenizer.batch_decode([[x] for x in ids]), tokenizer.batch_decode(p.input_ids, skip_special_tokens=True)
tokenizer.decode(ids) == sentence, tokenizer.decode(ids, skip_special_tokens=True).strip() == sentence, tokenizer.decode(ids[1:])
len(tokenizer), tokenizer.vocab_size, tokenizer.is_fast, tokenizer.model_max_length > 10, tokenizer.padding_side, tokenizer.model_input_names
tokenizer.all_special_ids, tokenizer.all_special_tokens, [x in tokenizer.all_special_ids for x in ids], tokenizer.special_tokens_map
tokenizer.bos_token, tokenizer.eos_token, tokenizer.cls_token, tokenizer.sep_token, tokenizer.pad_token, tokenizer.unk_token, tokenizer.mask_token
tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id
[x == tokenizer.cls_token_id for x in ids], [tok == tokenizer.sep_token for tok in e.tokens()], [x.item() == tokenizer.bos_token_id for x in t]
tokenizer.get_special_tokens_mask(ids, already_has_special_tokens=True)
tokenizer.encode_plus(sentence)["input_ids"] if hasattr(tokenizer, "encode_plus") else ids
""".strip().split("\n")  # fmt: skip

BODIES = {
    "tokens": "values = tokenizer.convert_ids_to_tokens(tokenizer(sentence).input_ids)",
    "tokens of a tensor": 'values = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors="pt").input_ids[0])',
    "tokens of a list": "values = tokenizer.convert_ids_to_tokens(tokenizer([sentence])['input_ids'][0])",
    "tokens of the encoding": "values = tokenizer(sentence).tokens()",
    "tokens one by one": "values = [tokenizer.convert_ids_to_tokens(x) for x in tokenizer(sentence)['input_ids']]",
    "item in a loop": """
ids = tokenizer(sentence, return_tensors="pt")["input_ids"][0]
values = [tokenizer.convert_ids_to_tokens(x.item()) for x in ids]
""",
    "item by index": """
ids = tokenizer(sentence, return_tensors="pt")["input_ids"][0]
values = [tokenizer.convert_ids_to_tokens(ids[m].item()) for m in range(len(ids))]
""",
    "int of a tensor": """
ids = tokenizer(sentence, return_tensors="pt").input_ids.squeeze(0)
values = [tokenizer.convert_ids_to_tokens(int(ids[m])) for m in range(ids.shape[0])]
""",
    "view": "values = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors='pt').input_ids.view(-1).tolist())",
    "squeeze": "values = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors='pt')['input_ids'].squeeze())",
    "numpy": "values = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors='np')['input_ids'][0])",
    "get": "values = tokenizer.convert_ids_to_tokens(tokenizer(sentence).get('input_ids'))",
    "encode": "values = tokenizer.convert_ids_to_tokens(tokenizer.encode(sentence))",
    "encode as a tensor": "values = tokenizer.convert_ids_to_tokens(tokenizer.encode(sentence, return_tensors='pt')[0])",
    "ids": "values = tokenizer(sentence).input_ids",
    "ids compared": """
ids = tokenizer(sentence)["input_ids"]
values = [sum(1 for y in ids if y == x) for x in ids]
""",
    "ids compared as tensors": """
ids = tokenizer(sentence, return_tensors="pt").input_ids[0]
values = [sum(1 for m in range(len(ids)) if ids[m] == ids[l]) for l in range(len(ids))]
""",
    "ids as a matrix": """
ids = tokenizer(sentence, return_tensors="pt").input_ids[0]
same = (ids.unsqueeze(0) == ids.unsqueeze(1)).float().numpy()
values = [same[m].sum() for m in range(len(ids))]
""",
    "ids as an array": """
ids = np.array(tokenizer(sentence)["input_ids"])
same = (ids[:, None] == ids[None, :]).astype(float)
values = [same[m].sum() for m in range(len(ids))]
""",
    "decoded one by one": "values = [tokenizer.decode([x]) for x in tokenizer(sentence)['input_ids']]",
    "decoded numbers": "values = [tokenizer.decode(x) for x in tokenizer(sentence)['input_ids']]",
    "decoded tensors": "values = [tokenizer.decode(x) for x in tokenizer(sentence, return_tensors='pt').input_ids[0]]",
    "decoded ints of tensors": """
ids = tokenizer(sentence, return_tensors="pt").input_ids[0]
values = [tokenizer.decode([int(x)]) for x in ids]
""",
    "decoded and stripped": "values = [tokenizer.decode([x]).strip() for x in tokenizer(sentence)['input_ids']]",
    "decoded in lower case": "values = [tokenizer.decode([x]).lower() for x in tokenizer.encode(sentence)]",
    "decoded in a batch": "values = tokenizer.batch_decode([[x] for x in tokenizer(sentence).input_ids])",
    "decoded, and tokens": """
ids = tokenizer(sentence).input_ids
tokens = tokenizer.convert_ids_to_tokens(ids)
values = [tokens[m] == tokenizer.decode([ids[m]]) for m in range(len(ids))]
""",
    "decoded as a whole": """
ids = tokenizer(sentence).input_ids
text = tokenizer.decode(ids, skip_special_tokens=True)
values = tokenizer.convert_ids_to_tokens(ids)
""",
    "decoded up to a token": """
ids = tokenizer(sentence).input_ids
values = [len(tokenizer.decode(ids[:m])) for m in range(len(ids))]
""",
    "word numbers": "values = tokenizer(sentence).word_ids()",
    "word numbers of a batch": "values = tokenizer([sentence], return_tensors='pt').word_ids(0)",
    "missing words": "values = [w is None for w in tokenizer(sentence).word_ids()]",
    "words that go on": """
words = tokenizer(sentence).word_ids()
values = [m > 0 and words[m] is not None and words[m] == words[m - 1] for m in range(len(words))]
""",
    "words counted": """
words = tokenizer(sentence).word_ids()
values = [-1 if w is None else w + 1 for w in words]
""",
    "offsets": "values = tokenizer(sentence, return_offsets_mapping=True)['offset_mapping']",
    "offsets' starts": "values = [a for a, b in tokenizer(sentence, return_offsets_mapping=True).offset_mapping]",
    "lengths by offsets": """
offsets = tokenizer(sentence, return_offsets_mapping=True)["offset_mapping"]
values = [offsets[m][1] - offsets[m][0] for m in range(len(offsets))]
""",
    "characters by offsets": """
values = [sentence[a:b] for a, b in tokenizer(sentence, return_offsets_mapping=True)["offset_mapping"]]
""",
    "special tokens": """
enc = tokenizer(sentence, return_special_tokens_mask=True)
values = enc["special_tokens_mask"]
""",
    "special ids": "values = [x in tokenizer.all_special_ids for x in tokenizer(sentence).input_ids]",
    "special strings": "values = [x in tokenizer.all_special_tokens for x in tokenizer(sentence).tokens()]",
    "a role": "values = [x == tokenizer.cls_token_id for x in tokenizer(sentence).input_ids]",
    "a role's string": "values = [x == tokenizer.bos_token for x in tokenizer(sentence).tokens()]",
    "the id of a mark": """
stop = tokenizer.convert_tokens_to_ids(".")
values = [x == stop for x in tokenizer(sentence).input_ids]
""",
    "a token of a character": """
enc = tokenizer(sentence)
first = enc.char_to_token(0)
values = [m == first for m in range(len(enc.tokens()))]
""",
    "a token of the last character": """
enc = tokenizer(sentence)
last = enc.char_to_token(len(sentence) - 1)
values = [last is not None and m > last for m in range(len(enc.input_ids))]
""",
    "characters of a token": """
enc = tokenizer(sentence)
values = [enc.token_to_chars(m) is None for m in range(len(enc.input_ids))]
""",
    "word of a token": """
enc = tokenizer(sentence)
values = [enc.token_to_word(m) for m in range(len(enc.input_ids))]
""",
    "attention mask": "values = tokenizer(sentence)['attention_mask']",
    "size by shape": """
ids = tokenizer(sentence, return_tensors="pt").input_ids
values = [m == ids.shape[1] - 1 for m in range(ids.shape[-1])]
""",
    "frequent ids": "values = [x < 400 for x in tokenizer(sentence).input_ids]",
    "size of the vocabulary": "values = [x > len(tokenizer) // 2 for x in tokenizer(sentence).input_ids]",
    "tokenized anew": """
pieces = tokenizer.tokenize(sentence)
ids = tokenizer(sentence).input_ids
values = [m < len(pieces) for m in range(len(ids))]
""",
    "without special tokens": """
ids = tokenizer(sentence).input_ids
bare = tokenizer(sentence, add_special_tokens=False).input_ids
values = [m < len(ids) - len(bare) for m in range(len(ids))]
""",
}

# What the values are good for. The first can be lifted, the second tells values apart by more than equality.
EQUALITY = """\
for i in range(n):
    for j in range(n):
        if values[i] == values[j]:
            out[i, j] += 1 + abs(i - j) / n
        else:
            out[i, j] += 0.25
"""
CONTENT = """
for j in range(n):
    out[:, j] = 1 + sum(ord(c) * (k + 1) for k, c in enumerate(str(values[j]))) % 97
    out[j, j] += 3 * (values[j] == values[0])
"""


def program(body: str, use: str) -> str:
    """A proposal: the body's values, put to use in a matrix."""
    lines = [*body.strip().split("\n"), "n = len(values)", "out = np.zeros((n, n))", *use.strip().split("\n")]
    inner = "\n".join("    " + line for line in lines)
    return f'import numpy as np\n\n\ndef program(sentence, tokenizer):\n{inner}\n    return "x", make_row_stochastic(out)\n'
