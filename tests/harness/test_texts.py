"""Texts: every file kind, the splits, and one clear line for whatever cannot be read."""

import csv
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from harness.errors import UserError
from harness.texts import load_all, load_texts

STORIES = [f"Story {i}: the cat number {i} sat." for i in range(20)]
SHARED = Path(__file__).parents[2].parent / "shared"


def write(path: Path, texts: list[str]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts)))
    elif path.suffix == ".txt":
        path.write_text("\n\n".join(texts))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["number", "text"], *enumerate(texts)])
    else:
        table = pyarrow.table({"number": list(range(len(texts))), "text": texts})
        pyarrow.parquet.write_table(table, path)
    return path


def complaint(spec: object, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        load_texts(str(spec), 0, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".jsonl", ".txt", ".csv", ".parquet"])
def test_every_kind_of_file_gives_its_texts(tmp_path, suffix):
    tricky = [*STORIES, 'He said:\n"Come, and see."', "naïve café 😀"]
    path = write(tmp_path / f"stories{suffix}", tricky)
    assert load_all(str(path)) == tuple(tricky)


@pytest.mark.parametrize("suffix", [".jsonl", ".txt", ".csv", ".parquet"])
def test_one_file_is_split_by_seed(tmp_path, suffix):
    spec = str(write(tmp_path / f"stories{suffix}", STORIES))
    splits = load_texts(spec, 1)
    assert [len(s) for s in (splits.fit, splits.select, splits.test)] == [12, 4, 4]
    assert sorted(splits.fit + splits.select + splits.test) == sorted(STORIES)
    assert load_texts(spec, 1) == splits
    assert load_texts(spec, 2).fingerprint != splits.fingerprint


def test_folder_keeps_its_parts_in_file_order_up_to_the_maximum(tmp_path):
    write(tmp_path / "train.csv", STORIES[:10])
    write(tmp_path / "valid.txt", STORIES[10:15])
    write(tmp_path / "test-00000-of-00002.parquet", STORIES[15:18])
    write(tmp_path / "test-00001-of-00002.parquet", STORIES[18:])
    (tmp_path / "README.md").write_text("not a text")
    splits = load_texts(str(tmp_path), 0, max_texts=(4, 9, 9))
    assert splits.fit == tuple(STORIES[:4])
    assert splits.select == tuple(STORIES[10:15])
    assert splits.test == tuple(STORIES[15:])
    assert load_all(str(tmp_path)) == tuple(STORIES[15:])
    assert load_all(str(tmp_path), 2) == tuple(STORIES[15:17])


def test_without_a_test_part_the_validation_part_is_halved(tmp_path):
    write(tmp_path / "train.txt", STORIES[:10])
    write(tmp_path / "validation.txt", STORIES[10:])
    splits = load_texts(str(tmp_path), 0)
    assert splits.fit == tuple(STORIES[:10])
    assert len(splits.select) == len(splits.test) == 5
    assert set(splits.select) | set(splits.test) == set(STORIES[10:])


def test_a_text_stands_in_one_split_only_and_once(tmp_path):
    write(tmp_path / "train.jsonl", [STORIES[0], STORIES[1], STORIES[0]])
    write(tmp_path / "validation.jsonl", [STORIES[1], STORIES[2] + "  "])
    write(tmp_path / "test.jsonl", [STORIES[2], STORIES[3], STORIES[0]])
    splits = load_texts(str(tmp_path), 0)
    assert (splits.fit, splits.select, splits.test) == ((STORIES[0], STORIES[1]), (STORIES[2],), (STORIES[3],))
    assert any(note.startswith("4 repeated") for note in splits.notes)


def test_the_same_text_in_another_split_is_another_fingerprint(tmp_path):
    for folder, parts in (("a", (0, 1, 2)), ("b", (0, 2, 1))):
        (tmp_path / folder).mkdir()
        for part, i in zip(("train", "validation", "test"), parts, strict=True):
            write(tmp_path / folder / f"{part}.txt", [STORIES[i]])
    assert load_texts(str(tmp_path / "a"), 0).fingerprint != load_texts(str(tmp_path / "b"), 0).fingerprint


def test_lines_where_there_are_no_blank_lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\xef\xbb\xbfone two\r\nthree four\r\nfive six\r\n")
    assert load_all(str(path)) == ("one two", "three four", "five six")


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_column_is_named_or_called_text_and_never_guessed(tmp_path, suffix):
    rows = [{"label": "joy", "story": f"one two {i}", "text": f"three four {i}"} for i in range(5)]
    path = tmp_path / f"table{suffix}"

    def save(names):
        kept = [{name: row[name] for name in names} for row in rows]
        if suffix == ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in kept))
        elif suffix == ".csv":
            with path.open("w", newline="") as file:
                csv.writer(file).writerows([names, *(row.values() for row in kept)])
        else:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(kept), path)

    save(["label", "story", "text"])
    assert load_all(path) == tuple(row["text"] for row in rows)
    assert load_all(path, column="story") == tuple(row["story"] for row in rows)
    assert "label, story, text" in complaint(path, column="title")
    save(["story"])
    assert "--column" in complaint(path) and "story" in complaint(path)


def test_empty_texts_are_left_out_with_a_note(tmp_path):
    write(tmp_path / "a.jsonl", [*STORIES, " ", ""])
    splits = load_texts(str(tmp_path / "a.jsonl"), 0)
    assert "" not in splits.fit + splits.select + splits.test
    assert any(note.startswith("2 empty") for note in splits.notes)


def test_bad_input_is_one_line_that_names_it(tmp_path):
    def made(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    assert "no such file" in complaint(tmp_path / "nothing.jsonl")
    assert "no such file" in complaint("./nothing/here")
    assert "empty" in complaint(made("empty.txt", ""))
    assert "no text" in complaint(made("blank.txt", " \n\n \n"))
    assert "line 2" in complaint(made("broken.jsonl", '{"text": "fine"}\n{"text": \n'))
    assert "line 1" in complaint(made("list.jsonl", '["fine"]\n'))
    assert "row 2" in complaint(made("number.jsonl", '{"text": "fine"}\n{"text": 3}\n'))
    columns = complaint(made("columns.csv", "title,body\nA,one\nB,two\n"))
    assert "title" in columns and "body" in columns
    assert "no text" in complaint(made("header.csv", "text\n"))
    assert "Parquet" in complaint(made("broken.parquet", "not parquet at all"))
    assert "UTF-8" in complaint(made("latin.txt", b"caf\xe9 au lait"))
    assert "folder.pdf" in complaint(made("folder.pdf", "x"))
    assert "fit, select and test" in complaint(made("two.txt", "one two three\n\nfour five six"))
    (tmp_path / "void").mkdir()
    assert "no train, validation or test file" in complaint(tmp_path / "void")


class Stream:
    """What `datasets` returns for one part of a streamed dataset."""

    def __init__(self, rows):
        self.rows = rows
        self.taken = []

    def take(self, n):
        self.taken.append(n)
        return iter(self.rows[:n])


@pytest.fixture
def hub(monkeypatch):
    """A dataset hub that knows one dataset, and what was asked of it."""
    import datasets
    from huggingface_hub import HfApi

    streams = {"train": Stream([{"text": t} for t in STORIES[:12]]), "validation": Stream([{"text": t} for t in STORIES[12:]])}

    def dataset_info(self, repo_id, timeout):
        if repo_id != "someone/stories":
            raise ConnectionError("nobody answers")

    def load_dataset(spec, streaming):
        assert streaming
        return streams

    monkeypatch.setattr(HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return streams


def test_a_dataset_is_streamed_and_bounded(hub):
    splits = load_texts("someone/stories", 0, max_texts=(3, 2, 1))
    assert splits.fit == tuple(STORIES[:3])
    assert len(splits.select) == 2 and len(splits.test) == 1
    assert set(splits.select + splits.test) <= set(STORIES[12:])
    assert hub["train"].taken == hub["validation"].taken == [6]


def test_all_texts_of_a_dataset_are_those_of_its_last_part(hub):
    assert load_all("someone/stories", 3) == tuple(STORIES[12:15])
    assert hub["train"].taken == []


def test_an_unknown_dataset_is_one_line(hub):
    assert "nobody answers" in complaint("someone/else")


def test_shared_stories():
    if not SHARED.exists():
        pytest.skip("needs the shared stories beside the repository")
    splits = load_texts(str(SHARED / "data" / "tinystories"), 0)
    lines = {
        part: [json.loads(line)["text"].strip() for line in (SHARED / "data" / "tinystories" / f"{part}.jsonl").open()]
        for part in ("train", "validation", "test")
    }
    assert [*splits.fit] == lines["train"] and [*splits.select] == lines["validation"] and [*splits.test] == lines["test"]


def test_demo_fills_the_splits():
    splits = load_texts("demo", 0)
    assert [len(s) for s in (splits.fit, splits.select, splits.test)] == [60, 25, 25]
    assert load_all("demo", 25) == splits.test
