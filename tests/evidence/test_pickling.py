"""What a pool of processes is given and gives back: statistics, claims, null models, hierarchies, results."""

import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

import geometry as geo
import geometry.evidence.statistics as room
from tests.planted import Planted


def makers() -> dict[str, Callable[..., geo.Statistic]]:
    """Every function of the statistics' modules that makes one, by its name."""
    modules = [
        importlib.import_module(f"{room.__name__}.{found.name}") for found in pkgutil.iter_modules(room.__path__)
    ]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and value.__annotations__.get("return") is geo.Statistic
    }


def again(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 (our own bytes)


@pytest.mark.parametrize("name", sorted(makers()))
def test_a_statistic_that_was_pickled_measures_the_same(name: str, planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    statistic = makers()[name]()
    copy = again(statistic)
    train = np.arange(len(planted.hierarchy.tokens)) % 3 != 0
    fits = [geo.ConceptDirections.fit(space, planted.hierarchy, train=mask) for mask in (train, ~train)]
    given = fits if statistic.split == "halves" else fits[:1]
    np.testing.assert_array_equal(copy.evaluate(*given), statistic.evaluate(*given))
    assert copy.labels(fits[0]) == statistic.labels(fits[0])
    assert (copy.name, copy.split, copy.not_beside) == (statistic.name, statistic.split, statistic.not_beside)


def test_claims_null_models_and_spaces_pickle(planted: Planted) -> None:
    assert [claim.name for claim in again(geo.CLAIMS)] == [claim.name for claim in geo.CLAIMS]
    assert list(again(geo.NULLS)) == list(geo.NULLS)
    hierarchy = planted.hierarchy
    assert hierarchy.edges  # what was worked out already goes along
    assert again(hierarchy).concepts == hierarchy.concepts
    space = geo.CausalSpace.fit(planted.unembedding)
    assert again(space).rank == space.rank


def name_and_value(claim: geo.Claim) -> tuple[str, str]:
    return claim.name, claim.statistic.name


def test_a_pool_of_processes_takes_and_returns_claims() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(name_and_value, geo.CLAIMS)) == [name_and_value(claim) for claim in geo.CLAIMS]


def test_results_of_all_claims_pickle(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    results = geo.evaluate_claims(space, planted.hierarchy, n_permutations=3, n_others=1, n_twins=2)
    copy = again(results)
    assert repr(copy) == repr(results)
    assert [test.verdict for test in copy] == [test.verdict for test in results]
    assert repr(copy.to_dict()) == repr(results.to_dict())
