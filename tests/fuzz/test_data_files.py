"""Data files of every kind, changed at random: hierarchies, behaviours, series, pairs, opposites, prompts."""

import json
import os
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

import geometry as geo
from tests.fuzz.hostile import at_length, bounded_memory, broken, changed, quick, survives

VOCABULARY = geo.Vocabulary([f"Ġ{word}" for word in "cat cats dog one two three king queen good bad".split()])
READERS = {
    "hierarchies/organisms": lambda path: geo.load_hierarchy(path, VOCABULARY),
    "behaviours/aggression": geo.load_behaviour,
    "values/series": lambda path: geo.concepts.load_series(VOCABULARY, path, skipped={}),
    "pairs/contrasts": lambda path: geo.concepts.load_pairs(VOCABULARY, path),
    "opposites/contrasts": geo.concepts.load_opposites,
    "prompts/neutral": geo.steering.load_prompts,
}
TEXTS = {name: (files("geometry.data") / f"{name}.yaml").read_text(encoding="utf-8") for name in READERS}
DOCUMENTS = {name: yaml.safe_load(text) for name, text in TEXTS.items()}

SIGNS = [
    "a", "1", ": ", "- ", "[", "]", "{", "}", "\n", "  ", "&a ", "*a", "!!int ", "!!set ", "? ", "<<: ", "'", '"', "|",
    "#", "---\n", "%YAML 1.1\n", "\t", "~", "0x", ":1", "\ufeff",
]  # fmt: skip


def read(kind: str, content: bytes, suffix: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"own{suffix}"
        path.write_bytes(content)
        survives(lambda: READERS[kind](path))


def changed_documents(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(READERS)))
    document = data.draw(changed(DOCUMENTS[kind]))
    read(kind, json.dumps(document).encode(), data.draw(st.sampled_from([".json", ".yaml"])))


def broken_texts(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(READERS)))
    read(kind, data.draw(broken(TEXTS[kind].encode(), near=2000)), ".yaml")


def any_yaml(data: st.DataObject) -> None:
    text = "".join(data.draw(st.lists(st.sampled_from(SIGNS), max_size=60)))
    entry = data.draw(st.sampled_from(["concepts: ", "sets: ", "pairs: ", ""]))
    kind = data.draw(st.sampled_from(sorted(READERS)))
    read(kind, (entry + text).encode(), ".yaml")


test_changed_documents, test_changed_documents_at_length = quick(changed_documents, 60), at_length(changed_documents)
test_broken_texts, test_broken_texts_at_length = quick(broken_texts, 80), at_length(broken_texts)
test_any_yaml, test_any_yaml_at_length = quick(any_yaml, 60), at_length(any_yaml)


def bomb(entry: str) -> str:
    """Ten levels of lists of the ten lists before them, ten thousand million texts in all, where an entry stands."""
    levels = ["- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"- &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    lines = "\n".join(f"  {line}" for line in levels)
    return f"source:\n{lines}\n{entry}"


CLASSES = "templates: {a: x, b: y}\ndomains: {c: x, d: y}\nclasses: "
BOMBS = {
    "hierarchies/organisms": (
        "forms: *a9\nconcepts: {a: {words: [w]}}",
        "name: *a9\nconcepts: {a: {words: [w]}}",
        "concepts: *a9",
        "concepts: {a: *a9}",
        "concepts: {a: {words: *a9}}",
        "concepts: {a: {words: [w], parents: *a9}}",
        "concepts: {a: {words: [*a9]}}",
        "concepts: {a: {words: [w]}}\nbeside: *a9",
        "concepts: {a: {words: [w]}}\n*a9 : 1",
    ),
    "behaviours/aggression": (
        "classes: {a: *a9}",
        "ordered: *a9\n" + CLASSES + "{a: {}}",
        "kind: *a9\n" + CLASSES + "{a: {}}",
        "groups: *a9\n" + CLASSES + "{a: {}}",
        "templates: *a9\nclasses: {a: {}}",
        "templates: {a: *a9, b: x}\nclasses: {a: {}}",
        CLASSES + "{a: {words: *a9}, b: {}}",
        CLASSES + "{a: {words: [*a9]}, b: {prompts: *a9}}",
        CLASSES + "{a: {words: [k], prompts: {c: *a9, d: {a: [x]}}}, b: {}}",
    ),
    "values/series": (
        "sets: *a9",
        "sets: {a: *a9}",
        "sets: {a: {expected: *a9, values: {x: [y]}}}",
        "sets: {a: {forms: *a9, values: {x: [y]}}}",
        "sets: {a: {values: *a9}}",
        "sets: {a: {values: {x: *a9}}}",
        "sets: {a: {values: {x: [y]}, groups: *a9}}",
    ),
    "pairs/contrasts": ("pairs: *a9", "pairs: {a: *a9}", "pairs: {a: [*a9]}", "pairs: {a: [[x, *a9]]}"),
    "opposites/contrasts": (
        "contrasts: *a9",
        "contrasts: {a: *a9}",
        "contrasts: {a: {single: *a9, pairs: [[x, y]]}}",
        "contrasts: {a: {pairs: *a9}}",
        "contrasts: {a: {single: [x, y], pairs: [*a9]}}",
    ),
    "prompts/neutral": (
        "prompts: *a9",
        "prompts: {beginnings: *a9}",
        "prompts: {a: *a9}",
        "name: *a9\nprompts: {beginnings: [x]}",
        "prompts: {beginnings: [*a9]}",
        "prompts: {beginnings: [x], texts: *a9}",
    ),
}


@pytest.mark.parametrize(("kind", "entry"), [(kind, entry) for kind, entries in BOMBS.items() for entry in entries])
def test_aliases_that_stand_for_more_than_fits_into_memory_are_never_written_out(kind: str, entry: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bomb.yaml"
        path.write_text(bomb(entry), encoding="utf-8")
        with bounded_memory(), pytest.raises(geo.GeometryError) as refusal:
            READERS[kind](path)
        assert len(str(refusal.value)) < 1000


HOSTILE: dict[str, Any] = {
    "deep lists": ("concepts: " + "[" * 100_000, "levels"),
    "deep items": ("concepts:\n" + "- " * 100_000 + "x", "levels"),
    "a long number": ("name: 1" + ":1" * 100_000 + "\nconcepts: {a: {words: [w]}}", "a number or date of"),
    "a large file": ("#" * (9 << 20), "larger than 8 MB"),
    "a long word": ("concepts: {a: {words: [" + "w" * 1_000_000 + "]}}", "a word of 1,000,000 characters; 200 at most"),
    "a long name": ("concepts: {" + "w" * 900 + ": {words: [w]}}", "a name of 900 characters"),
    "repeated words": (
        "concepts: {a: {words: &w [" + "w, " * 100_000 + "]}"
        + "".join(f", b{i}: {{words: *w}}" for i in range(30)) + "}",
        "2,000,000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_bounds_are_said(what: str, tmp_path: Path) -> None:
    text, complaint = HOSTILE[what]
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.load_hierarchy(tmp_path / "own.yaml", VOCABULARY)


def test_entries_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geometry.concepts.yaml_text._MOST", 1000)
    (tmp_path / "own.yaml").write_text(f"concepts: {['a'] * 1000}", encoding="utf-8")
    with pytest.raises(geo.errors.HierarchyError, match=r"own\.yaml, line 1: more than 1,000 entries"):
        geo.load_hierarchy(tmp_path / "own.yaml", VOCABULARY)


def test_a_pipe_is_no_data_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own.yaml")
    with pytest.raises(geo.errors.HierarchyError, match="a pipe or a device, not a file"):
        geo.load_hierarchy(tmp_path / "own.yaml", VOCABULARY)
