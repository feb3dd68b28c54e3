"""The spectrum of Σ is kept for large matrices alone, is the same bit for bit, and never that of other numbers."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import geometry as geo
from geometry.cache import LIMIT
from geometry.moments import moments
from geometry.spectrum_cache import Spectrum, kept_spectrum
from tests.killed import done, points, started, was_ended_by

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is fitted here counts as large."""
    monkeypatch.setattr("geometry.spectrum_cache._LEAST", 1)


class Fit:
    """A fit that counts how often it is computed."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.computed = cache, 0

    def __call__(
        self, matrix: torch.Tensor, rows: torch.Tensor | None = None, dtype: torch.dtype = torch.float64
    ) -> Spectrum:
        rows = torch.arange(len(matrix)) if rows is None else rows

        def compute() -> Spectrum:
            self.computed += 1
            return spectrum(matrix, rows, dtype)

        return kept_spectrum(compute, matrix, rows, dtype=dtype, device=CPU, cache=self.cache)


def spectrum(matrix: torch.Tensor, rows: torch.Tensor, dtype: torch.dtype = torch.float64) -> Spectrum:
    mean, covariance = moments(matrix, rows, single=False, device=CPU)
    return mean.to(dtype), *torch.linalg.eigh(covariance.to(dtype))


def same(one: Spectrum, other: Spectrum) -> bool:
    """To the last bit, and as they lie in memory, so that products of them are the same too."""
    pairs = list(zip(one, other, strict=True))
    return all(torch.equal(a, b) and a.dtype == b.dtype and a.stride() == b.stride() for a, b in pairs)


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    return Fit(tmp_path)


def drawn() -> torch.Tensor:
    return torch.randn(40, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def matrix() -> torch.Tensor:
    return drawn()


def files(fit: Fit) -> list[Path]:
    return list((fit.cache / "spectra").glob("*"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_second_time_nothing_is_computed_and_every_bit_is_the_same(
    fit: Fit, matrix: torch.Tensor, dtype: torch.dtype
) -> None:
    plain = spectrum(matrix, torch.arange(40), dtype)
    first, second = fit(matrix, dtype=dtype), fit(matrix.clone(), dtype=dtype)
    assert fit.computed == 1
    assert same(plain, first)
    assert same(plain, second)
    assert [path.suffix for path in files(fit)] == [".safetensors"]


CHANGES: dict[str, Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.dtype]]] = {
    "a number, in place": lambda matrix: (matrix.index_fill_(0, torch.tensor(3), 2.0), torch.arange(40), torch.float64),
    "rows": lambda matrix: (matrix, torch.arange(39), torch.float64),
    "order of rows": lambda matrix: (matrix.flip(0), torch.arange(40), torch.float64),
    "stored type": lambda matrix: (matrix.bfloat16(), torch.arange(40), torch.float64),
    "type of the result": lambda matrix: (matrix, torch.arange(40), torch.float32),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_computed_anew(
    fit: Fit,
    matrix: torch.Tensor,
    change: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.dtype]],
) -> None:
    fit(matrix)
    changed = change(matrix)
    assert same(fit(*changed), spectrum(*changed))
    assert fit.computed == len(files(fit)) == 2


def test_other_code_has_other_numbers(fit: Fit, matrix: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(matrix)
    monkeypatch.setattr("geometry.cache.entry.inspect.getsource", lambda _: "return 0")
    fit(matrix)
    assert fit.computed == 2


def test_a_damaged_file_is_replaced(fit: Fit, matrix: torch.Tensor) -> None:
    plain = fit(matrix)
    (path,) = files(fit)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\0")
    assert same(fit(matrix), plain)
    assert fit.computed == 2
    assert path.read_bytes() == whole


def test_small_ones_other_devices_and_a_limit_of_0_are_computed_and_nothing_hashed(
    fit: Fit, matrix: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geometry.spectrum_cache._key", lambda *_: pytest.fail("hashed"))
    rows, made = torch.arange(40), spectrum(matrix, torch.arange(40))
    for where, here in ((matrix, torch.device("cuda")), (matrix.to("meta"), CPU)):
        found = kept_spectrum(lambda: made, where, rows, dtype=torch.float64, device=here, cache=fit.cache)
        assert found is made
    monkeypatch.setenv(LIMIT, "0")
    fit(matrix)
    monkeypatch.delenv(LIMIT)
    monkeypatch.setattr("geometry.spectrum_cache._LEAST", 40 * 36 + 1)
    fit(matrix)
    assert fit.computed == 2
    assert not files(fit)


def test_what_cannot_be_computed_is_not_kept(fit: Fit, matrix: torch.Tensor) -> None:
    def refuse() -> Spectrum:
        raise ValueError("Σ overflows")

    with pytest.raises(ValueError, match="overflows"):
        kept_spectrum(refuse, matrix, torch.arange(40), dtype=torch.float64, device=CPU, cache=fit.cache)
    assert not files(fit)


def parts(space: geo.CausalSpace) -> list[torch.Tensor]:
    return [space.mean, space.eigenvalues, space.eigenvectors, space.whitener, space.colourer]


def test_a_space_from_the_cache_is_the_same_and_that_of_a_matrix_trained_on_another(
    matrix: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path))
    unembedding = geo.Unembedding(matrix, geo.Vocabulary([f"Ġw{row}" for row in range(40)]))
    fitted = geo.CausalSpace.fit(unembedding)
    with monkeypatch.context() as patched:
        patched.setattr("geometry.causal._spectrum", lambda *_, **__: pytest.fail("computed"))
        again = geo.CausalSpace.fit(unembedding)
    assert all(torch.equal(one, other) for one, other in zip(parts(fitted), parts(again), strict=True))
    assert unembedding.sha256  # of the matrix as it was
    matrix[3] += 1
    trained = geo.CausalSpace.fit(unembedding)
    assert len(list((tmp_path / "spectra").iterdir())) == 2
    monkeypatch.setenv(LIMIT, "0")
    plain = geo.CausalSpace.fit(unembedding)
    assert all(torch.equal(one, other) for one, other in zip(parts(plain), parts(trained), strict=True))
    assert not torch.equal(trained.mean, fitted.mean)


RUN = """
from pathlib import Path
import geometry.spectrum_cache
from tests.test_spectrum_cache import Fit, drawn
geometry.spectrum_cache._LEAST = 1
Fit(Path({cache!r} + ".other"))(drawn())  # whatever is imported on the way
steps = begin()
Fit(Path({cache!r}))(drawn())
print(steps())
"""


@pytest.fixture(scope="module")
def all_steps(tmp_path_factory: pytest.TempPathFactory) -> int:
    status, out, errors = done(started(RUN.format(cache=str(tmp_path_factory.mktemp("count") / "cache"))))
    assert status == 0, errors
    return int(out)


@pytest.mark.long  # tests/cache ends runs at every step of keeping, without torch
@pytest.mark.parametrize(("number", "share"), points(seed=82, of_each=7))
def test_after_an_ended_fit_the_next_is_right(
    tmp_path: Path, matrix: torch.Tensor, all_steps: int, number: signal.Signals, share: float
) -> None:
    fit = Fit(tmp_path / "cache")
    process = started(RUN.format(cache=str(fit.cache)), 1 + int(share * all_steps), number)
    status, _, errors = done(process)
    assert was_ended_by(number, status, errors), errors
    for _ in range(2):
        assert same(fit(matrix), spectrum(matrix, torch.arange(40)))
    assert fit.computed <= 1
    assert len(files(fit)) == 1
