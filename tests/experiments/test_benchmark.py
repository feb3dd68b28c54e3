import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_benchmark_prints_ratios_and_agreement() -> None:
    command = [sys.executable, "-m", "analysis.benchmark", "--every", "100", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    apart = re.search(r"relative difference of the two vectors: (\S+)", done.stdout)
    assert apart is not None
    assert float(apart[1]) < 1e-6
    assert len(re.findall(r"ratios? [\d.]+x", done.stdout)) == 5
    assert "4 x 403" in done.stdout
    assert "48 prompts under 6 vectors" in done.stdout
    assert len(re.findall(r"ms a token, unsteered +[\d.]+, ratio [\d.]+", done.stdout)) == 4
