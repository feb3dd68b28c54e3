"""Every family through the oracle; docs/families.md says what it found."""

from pathlib import Path

import pytest

from tests.steering import families, oracle

NAMES = [*families.FAMILIES, *families.WRAPPERS]
# Each shows something of its own: norms, caps, scales, several streams, recurrent states, wrappers, refusals.
QUICK = (
    "gpt2 gemma2 cohere falcon_h1 minicpm3 nanochat lfm2 rwkv mamba gemma3n_text opt openai-gpt modernbert-decoder"
    " llava gemma3"
).split()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in NAMES]
)
def test_a_vector_moves_the_logits_by_the_rows_of_the_file(name: str, tmp_path: Path) -> None:
    found = oracle.examined(name, tmp_path)
    assert found.row in oracle.PAGE.read_text(encoding="utf-8").splitlines(), found.row


def test_the_page_tells_of_every_family_and_of_no_other() -> None:
    text = oracle.PAGE.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| family", "| ---"))]
    assert sorted(row.split(" | ")[0].removeprefix("| ") for row in rows) == sorted(NAMES)
    usable = [row for row in rows if "matrix · vector" in row]
    assert len(usable) - len(families.WRAPPERS) >= 40
    assert len(families.WRAPPERS) >= 6
    assert oracle.page([]).partition("## ")[0] == text.partition("## ")[0]
