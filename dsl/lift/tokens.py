"""What programs ask of the tokenizer, of its encodings and of their ids.

Values: Opaque "tokenizer"; "encoding" and "encodings" (a batch of one); "ids" and "batch", their input_ids (n numbers, 1 x n); and
S("id", e): the number of the token that is spelled e. Numbers of tokens are only compared with one another.
"""

from __future__ import annotations

from typing import Any

from dsl.lift.reductions import Reductions
from dsl.lift.sequences import items_of, mapped
from dsl.lift.terms import N
from dsl.lift.values import Builtin, Opaque, Over, S, Seq, Slice, number, value_of
from dsl.nodes import Call, Expr, Name, Range

PIECE = "piece"  # the feature of the language that is a token as the tokenizer spells it
ROLES = {
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "bos_token": ("<s>", "<|endoftext|>", "<|begin_of_text|>"),
    "eos_token": ("</s>", "<|endoftext|>"),
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>", "<|endoftext|>"),
    "mask_token": ("[MASK]", "<mask>"),
}
METHODS = ("convert_ids_to_tokens", "convert_tokens_to_ids", "encode", "encode_plus", "batch_encode_plus", "tokenize",
           "decode", "batch_decode")  # fmt: skip
ALL = Slice(None, None, None)


class Tokens(Reductions):
    def piece(self, p: Expr) -> Call:
        return Call(PIECE, (p,))

    def tokenizer_attribute(self, name: str) -> Any:
        facts = self.tokenizer
        role = name.removesuffix("_id")
        if role in ROLES:
            if facts is None:
                known: tuple[str, ...] = ROLES[role]
            elif role in facts["roles"]:
                known = (facts["roles"][role][0],)
            else:
                return None
            if facts is not None and role == name:
                return known[0]
            return Opaque(("token:" if role == name else "id:") + " ".join(known))
        match name:
            case "all_special_tokens":
                if facts is None:
                    from dsl.text import SPECIAL

                    return tuple(sorted(SPECIAL))
                return tuple(token for token, _ in facts["special"])
            case "all_special_ids":
                v = self.var()
                return self.box(Seq((Over((Range(v),), Call("special", (Name(v),)), S("id", self.piece(Name(v)))),), True))
            case "is_fast" if facts is not None:
                return facts["fast"]
        if name in METHODS:
            return Builtin("tokens." + name)
        return self.refuse(f"tokenizer.{name} has no counterpart")

    def encoding_attribute(self, of: Opaque, name: str) -> Any:
        if name == "input_ids":
            return Opaque("ids" if of.name == "encoding" else "batch")
        if name == "data":
            return of
        if name in ("tokens", "word_ids", "to", "get", "token_to_word"):
            return Builtin("encoding." + name, of)
        return self.refuse(f"the encoding's {name} has no counterpart")

    def tokenizer_call(self, name: str, of: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        kind, short = name.split(".", 1)
        if kind == "tokens":
            return self.tokenizer_method(short, args, keywords)
        if kind == "encoding":
            match short, args:
                case "tokens", ([] | [0]):
                    return self.box(mapped(self, lambda p: S("text", self.piece(p))))
                case "word_ids", ([] | [0]):
                    return self.box(mapped(self, lambda p: S("number", Call("word_id", (p,)))))
                case "to", _:
                    return of
                case "get", ["input_ids", *_]:
                    return self.encoding_attribute(of, "input_ids")
                case "token_to_word", [S("number", p)]:
                    return S("number", Call("word_id", (p,)))
            return self.refuse(f"the encoding's {short} has no counterpart")
        return self.ids_call(short, of, args)

    def tokenizer_method(self, short: str, args: list[Any], keywords: dict[str, Any]) -> Any:
        """A call of the tokenizer or of one of its methods."""
        first = args[0] if args else keywords.get("text")
        if keywords.get("add_special_tokens", True) is False or (short == "encode" and len(args) > 1):
            self.refuse("tokens without the special ones")
        if keywords.get("is_split_into_words"):
            self.refuse("the tokenizer on a list of words")
        match short:
            case "call" | "encode_plus" | "batch_encode_plus" | "encode":
                texts = self.unbox(first)
                one = isinstance(texts, Opaque)
                if not one:
                    several = items_of(texts) if isinstance(texts, Seq) else list(texts) if isinstance(texts, tuple) else None
                    if several is None or len(several) != 1:
                        return self.refuse("the tokenizer on several texts")
                    texts = several[0]
                if texts != Opaque("sentence"):
                    self.refuse("the tokenizer on another text than the sentence")
                batch = keywords.get("return_tensors") is not None or not one
                if short == "encode":
                    return Opaque("batch" if batch else "ids")
                return Opaque("encodings" if batch else "encoding")
            case "tokenize":
                return self.refuse("tokenizer.tokenize leaves out the special tokens")
            case "decode":
                return self.decoded(first, keywords)
            case "batch_decode":
                found = self.unbox(first)
                if not isinstance(found, Seq):
                    return self.refuse("tokenizer.batch_decode of anything but a list of lists")
                return self.box(self.each(found, lambda v: self.decoded(v, keywords)))
            case "convert_ids_to_tokens":
                if keywords.get("skip_special_tokens") or len(args) > 1:
                    self.refuse("tokens without the special ones")
                return self.spelled(first)
            case "convert_tokens_to_ids":
                return self.numbered(first)
        return self.refuse(f"tokenizer.{short} has no counterpart")

    def spelled(self, ids: Any) -> Any:
        """convert_ids_to_tokens."""
        if isinstance(ids, S):
            return S("text", ids.e) if ids.sort == "id" else self.refuse("the numbers of tokens")
        known = self.unbox(ids)
        if isinstance(known, Seq):
            return self.box(self.each(known, lambda v: self.spelled(v)))
        if known == Opaque("ids"):
            return self.box(mapped(self, lambda p: S("text", self.piece(p))))
        return self.refuse("tokenizer.convert_ids_to_tokens of these numbers")

    def numbered(self, tokens: Any) -> Any:
        """convert_tokens_to_ids: of a string that the vocabulary may lack, the number of the unknown token."""
        if isinstance(tokens, S) and tokens.sort == "text":
            return S("id", tokens.e)
        if isinstance(tokens, str) and self.tokenizer is not None and " " not in tokens:
            marks, roles = self.tokenizer["marks"], self.tokenizer["roles"]
            unknown, number = roles.get("unk_token", (None, None))
            if tokens not in marks or marks[tokens] != number:
                return Opaque("id:" + tokens)
            return None if unknown is None else Opaque("id:" + unknown)
        known = self.unbox(tokens)
        if isinstance(known, Seq):
            return self.box(self.each(known, self.numbered))
        return self.refuse("tokenizer.convert_tokens_to_ids of this string")

    def decoded(self, ids: Any, keywords: dict[str, Any]) -> Any:
        """decode: of one token what the language calls decode(p), of all tokens a string of which nothing is known."""
        if keywords.get("clean_up_tokenization_spaces") is not None:
            self.refuse("tokenizer.decode with clean_up_tokenization_spaces")
        known = self.unbox(ids)
        if known == Opaque("ids"):
            return Opaque("string")
        if isinstance(known, Seq | tuple):
            items = items_of(known) if isinstance(known, Seq) else known
            if items is None or len(items) != 1:
                return self.refuse("tokenizer.decode of several tokens")
            known = items[0]
        if not (isinstance(known, S) and known.sort == "id" and isinstance(known.e, Call) and known.e.name == PIECE):
            return self.refuse("tokenizer.decode of what is not a token of the text")
        text = S("text", Call("decode", known.e.args))
        if not keywords.get("skip_special_tokens", False):
            return text
        facts = self.tokenizer
        if facts is None or set(facts["skipped"]) != {number for _, number in facts["special"]}:
            return self.refuse("tokenizer.decode without special tokens")
        return self.merge(Call("special", known.e.args), "", text)

    def ids_call(self, short: str, of: Any, args: list[Any]) -> Any:
        """A method of the ids as a list or tensor, of one of them (an S), or of a tensor of comparisons."""
        if isinstance(of, S):
            if short in ("item", "tolist", "numpy", "cpu", "detach", "long", "clone", "int") and not args:
                return of
            return self.refuse(f"{short} of a token's number")
        if not isinstance(of, Opaque):  # comparing ids has made an array of them
            return of if short in ("numpy", "cpu", "detach") else self.elementwise(lambda v: value_of("number", number(v)), of)
        batch = of.name == "batch"
        match short, args:
            case (("tolist" | "numpy" | "cpu" | "detach" | "long" | "copy" | "clone" | "contiguous" | "int"), []):
                return of
            case ("squeeze", ([] | [0])) | (("flatten" | "ravel"), []) | (("view" | "reshape"), ([-1] | [(-1,)])):
                return Opaque("ids")
            case (("view" | "reshape"), ([1, -1] | [(1, -1)])):
                return Opaque("batch")
            case "unsqueeze", [0] if not batch:
                return self.item(of, (None, ALL))
            case "unsqueeze", [1 | -1] if not batch:
                return self.item(of, (ALL, None))
            case "numel", []:
                return S("number", N)
            case "size", []:
                return (1, S("number", N)) if batch else (S("number", N),)
            case "size", [int(dim)] if -1 - batch <= dim <= batch:
                return 1 if batch and dim in (0, -2) else S("number", N)
            case (("index" | "count"), [_]) if not batch:
                return self.list_method(short, self.box(self.iterable(of)), args, {})
        return self.refuse(f"ids.{short} has no counterpart")
