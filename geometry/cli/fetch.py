"""`concept-geometry fetch`: models by name, one after another."""

import argparse

from geometry.errors import GeometryError, visible


def run_fetch(options: argparse.Namespace) -> None:
    """Fetch or find every model; GeometryError, in the words of each that failed, after all others are there."""
    failed = []
    for model in options.models:
        try:
            _fetch(model)
        except GeometryError as error:
            failed.append(str(error))
    if failed:
        raise GeometryError("; ".join(failed))


def _fetch(model: str) -> None:
    from geometry.models import CATALOGUE, Unembedding, fetch

    if model not in CATALOGUE:
        # Read as every command reads it: a file of that name need not be a model.
        print(f"{visible(model)}: found, {visible(repr(Unembedding.load(model)))}")
        return
    path = fetch(model)
    if CATALOGUE[model].kind == "vectors":
        from geometry.models.word_vectors_file import prepare_word_vectors

        prepare_word_vectors(path)
