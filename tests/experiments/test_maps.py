import json
from functools import partial
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from tests.analysis.scripts import nonsense, run_analysis

analyse = partial(run_analysis, "maps")


def test_a_vocabulary_of_noise_is_mapped_and_nothing_is_found(tmp_path: Path) -> None:
    model, hierarchy = nonsense(tmp_path, words=240, beside=("</script><img src=x onerror=alert(1)>",))
    hierarchy.write_text(
        "forms: none\nconcepts:\n  all: {words: ["
        + ", ".join(f"w{n}" for n in range(240))
        + "]}\n"
        + "".join(
            f"  k{k}: {{parents: [all], words: [{', '.join(f'w{n}' for n in range(k, 240, 12))}]}}\n" for k in range(12)
        )
    )
    out = tmp_path / "out"
    done = analyse("--model", model, "--hierarchy", hierarchy, "--concept", "all", "--draws", 19, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    figures = {f"{name}.{end}" for name in ("vocabulary", "concepts", "purity", "mapper") for end in ("png", "svg")}
    pages = {"vocabulary.html", "concepts.html", "mapper.html"}
    assert {path.name for path in out.iterdir()} == figures | pages | {"mapper.graphml", "results.json", "results.npz"}
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))["results"]
    for product in ("causal", "euclidean"):
        purity = results["vocabulary"][product]["neighbourhood_purity"]["in space"]
        assert purity["value"]["mean"] == pytest.approx(purity["nulls"]["shuffled"]["mean"], abs=0.06)
        assert results["vocabulary"][product]["trustworthiness"]["null"] == pytest.approx(0.5, abs=0.1)
    assert set(results["concepts"]) == {"causal inner product", "Euclidean inner product", "shuffled rows"}
    numbers = results["mapper"]["numbers"]
    graph = nx.read_graphml(out / "mapper.graphml")
    assert graph.number_of_nodes() == numbers["nodes"]["value"]
    assert graph.number_of_edges() == numbers["edges"]["value"]
    assert numbers["purity"]["nulls"]["shuffled labels"]["draws"] == 19
    page = (out / "vocabulary.html").read_text(encoding="utf-8")
    assert "<img" not in page
    with np.load(out / "results.npz", allow_pickle=False) as arrays:
        assert arrays["vocabulary:causal"].shape == (len(arrays["tokens"]), 2)


@pytest.mark.parametrize(
    ("words", "concept", "complaint"),
    [(10, "all", "too few to map"), (240, "unicorn", "no concept 'unicorn'")],
)
def test_what_cannot_be_mapped_is_one_line_and_no_trace(
    tmp_path: Path, words: int, concept: str, complaint: str
) -> None:
    model, hierarchy = nonsense(tmp_path, words=words)
    out = tmp_path / "out"
    done = analyse("--model", model, "--hierarchy", hierarchy, "--concept", concept, "--out", out)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert not out.exists()
