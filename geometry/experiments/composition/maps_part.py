"""Linear maps by site: from a value to the next, and from category to category."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from geometry.anatomy.linear_maps import MapAccuracy, position_map, successor_map
from geometry.display import short_repr
from geometry.experiments.composition.setup import UNEMBEDDING, Bench
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.intervals import interval_of, summarise


@dataclass(frozen=True, eq=False)
class MapsPart(Part):
    """Attributes: successor, position: place → accuracy there. inside: the places that are sites. control: or None."""

    successor: Mapping[str, MapAccuracy]
    position: Mapping[str, MapAccuracy]
    inside: tuple[str, ...]
    control: str | None

    __repr__ = short_repr

    def best(self, kind: str) -> str:
        """The site inside where a map finds most, the first of them."""
        found: Mapping[str, MapAccuracy] = getattr(self, kind)
        return max(self.inside, key=lambda place: found[place].accuracy)

    def summary(self) -> list[str]:
        """At the embedding, the first MLP, the best site, and outside."""
        lines = []
        says = {
            "successor": "One map to the next value, fitted to the other categories,",
            "position": "A map from category to category, fitted to the other positions, matches two positions:",
        }
        outside = [UNEMBEDDING, *([self.control] if self.control else [])]
        for kind, said in says.items():
            for place in dict.fromkeys([*self.inside[:2], self.best(kind), *outside]):
                found: MapAccuracy = getattr(self, kind)[place]
                low, high = interval_of(found.correct)
                beside = "".join(f"{name} {values.mean():.0%}, " for name, values in found.baselines.items())
                lines.append(
                    f"{said}{' finds' * (kind == 'successor')} {found.accuracy:.0%} [{low:.0%}, {high:.0%}] at {place}"
                    f" ({beside}permuted order {found.permuted.mean():.0%}, p = {found.p_value:.2g};"
                    f" {len(found.correct)} {'values' if kind == 'successor' else 'pairs of positions'})."
                )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Place → accuracies with intervals."""
        return {
            kind: {place: got.to_dict() | {"interval": summarise(got.correct)["interval"], "n": len(got.correct)}
                   for place, got in getattr(self, kind).items()}
            for kind in ("successor", "position")
        }  # fmt: skip

    def figures(self) -> list[FigureSpec]:
        """Both by site."""
        from geometry.experiments.composition.figures import maps

        return [maps(self)]

    def tables(self) -> list[TableSpec]:
        """Both in numbers."""
        tables = []
        titles = {"successor": "A linear map to the next value", "position": "Linear maps from category to category"}
        for kind, title in titles.items():
            found: Mapping[str, MapAccuracy] = getattr(self, kind)
            beside = list(next(iter(found.values())).baselines)
            rows = []
            for place, got in found.items():
                low, high = interval_of(got.correct)
                rows.append([place, f"{got.accuracy:.0%} [{low:.0%}, {high:.0%}]",
                             *(f"{got.baselines[name].mean():.0%}" for name in beside),
                             f"{got.permuted.mean():.0%}", f"{got.p_value:.2g}"])  # fmt: skip
            caption = (
                "Top-1 accuracy in a category that the map was not fitted to, 95% intervals over values."
                if kind == "successor"
                else "Leave-two-out: two positions that the map was not fitted to are matched the right way round; ½ by"
                " chance. 95% intervals over pairs of positions."
            )
            tables.append(TableSpec(title, ["place", "accuracy", *beside, "permuted order", "p"], rows, caption))
        return tables

    def arrays(self) -> dict[str, ArrayLike]:
        """Which values were found."""
        return {
            f"{kind}/{place}": got.correct
            for kind in ("successor", "position")
            for place, got in getattr(self, kind).items()
        }


def mapped(bench: Bench) -> MapsPart:
    """Both kinds of maps at every place."""
    study = bench.study
    options = {"n_permutations": study.n_permutations, "seed": study.seed}
    with threadpool_limits(1):
        successor = {place: successor_map(vectors, **options) for place, vectors in bench.vectors.items()}
        position = {place: position_map(vectors, **options) for place, vectors in bench.vectors.items()}
    control = study.control if study.control in bench.vectors else None
    return MapsPart(successor, position, tuple(map(str, bench.inside)), control)
