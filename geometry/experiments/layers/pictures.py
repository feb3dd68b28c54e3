"""Pictures of a model's layers: planes and simplices at three of them, maps of all, a Mapper graph of the sharpest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

import geometry.evidence as evidence
import geometry.maps as maps
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.display import short_repr
from geometry.errors import GeometryError
from geometry.experiments.layers.by_block import ClaimByBlock
from geometry.experiments.layers.families import Family, animals, measure_family, siblings
from geometry.experiments.layers.moving_map import NEIGHBOURS, LayerMap, MovingMap, moving_map, shown_sites
from geometry.experiments.maps.measure import mapper_of_concept
from geometry.experiments.maps.parts import MapperOfConcept
from geometry.experiments.study import Step
from geometry.results import TestResult
from geometry.steering import Site
from geometry.views.word_maps import farthest_first

if TYPE_CHECKING:
    from geometry.experiments.layers.setup import Setup

_PERMUTATIONS = 19  # of maps and of Mapper graphs, whose every p is far from the level

Positions = NDArray[np.int64]
Picture = TypeVar("Picture")


@dataclass(frozen=True, eq=False, kw_only=True)
class Pictures:
    """What is drawn of the layers.

    Attributes:
        model, metric: its name, and the inner product of the layers' spaces.
        hierarchy: over the phrases.
        sites: an early one, the sharpest and a late one, in the order of the model.
        sharpest, claim: where a claim stands furthest from its null, and which; the middle, and "", if none does.
        planes, simplex: families at these sites.
        moving: maps of the phrases at all sites, or at evenly spaced ones.
        purity: site, of the three → kNN purity "in space" and "on the map".
        typical: concept → its phrases, the farthest along its vector at the sharpest site first.
        mapper: the Mapper graph of a family's phrases at the sharpest site.
        left_out: picture → why it is not there.
    """

    model: str
    metric: str
    hierarchy: ConceptHierarchy
    sites: tuple[Site, ...]
    sharpest: Site
    claim: str
    planes: Family | None
    simplex: Family | None
    moving: MovingMap | None
    purity: Mapping[Site, Mapping[str, TestResult]]
    typical: Mapping[str, Positions]
    mapper: MapperOfConcept | None
    left_out: Mapping[str, str] = field(default_factory=dict)

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """The numbers of all pictures, and why others are left out."""
        numbers: dict[str, Any] = {
            "sites": list(map(str, self.sites)),
            "sharpest": {"site": str(self.sharpest), "claim": self.claim},
            "left_out": dict(self.left_out),
        }
        numbers |= {"planes": self.planes.to_dict()} if self.planes else {}
        numbers |= {"simplex": self.simplex.to_dict()} if self.simplex else {}
        if self.moving:
            purity = {
                str(site): {where: test.to_dict() for where, test in tests.items()}
                for site, tests in self.purity.items()
            }
            numbers["maps"] = self.moving.to_dict() | {"knn_purity": purity}
        if self.mapper:
            concept = {"concept": self.mapper.concept, "points": len(self.mapper.labelled)}
            numbers["mapper"] = concept | {"numbers": self.mapper.comparison.to_dict()}
        return numbers

    def arrays(self) -> dict[str, ArrayLike]:
        """Coordinates of the phrases at every site that is mapped, shape (n, 2)."""
        layers = self.moving.layers if self.moving else {}
        return {f"map:{site}": layer.coordinates for site, layer in layers.items()}


def measure_pictures(setup: "Setup", claims: Mapping[str, ClaimByBlock], step: Step) -> Pictures:
    """Planes, simplex, maps and Mapper graph of the phrases' points; what cannot be drawn is left out with its reason.

    >>> pictures = measure_pictures(setup, claims, step)  # doctest: +SKIP
    >>> pictures.simplex.names, pictures.left_out  # doctest: +SKIP
    (('living_thing.n.01', 'person.n.01', 'plant.n.02', 'animal.n.01'), {})

    `claims` say where the model is sharpest: existence, or else the first that has a null and could be measured.
    """
    hierarchy, seed, permutations = setup.hierarchy, setup.study.seed, setup.study.n_permutations
    claim, sharpest = sharpest_site(setup.sites, claims)
    sites = three_sites(setup.sites, sharpest)
    spaces = {site: setup.space(site) for site in sites}
    left_out: dict[str, str] = {}

    def attempt(name: str, picture: Callable[[], Picture]) -> Picture | None:
        try:
            return picture()
        except GeometryError as error:
            left_out[name] = str(error)
            return None

    step("drawing planes and simplices")
    how: Any = {"n_permutations": permutations, "seed": seed}
    shapes = [evidence.membership(), evidence.simplex_angles()]
    planes = attempt(
        "planes", lambda: measure_family(animals(hierarchy), hierarchy, spaces, [evidence.projection()], **how)
    )
    simplex = attempt("simplex", lambda: measure_family(siblings(hierarchy, 3, 4), hierarchy, spaces, shapes, **how))

    def points_at(site: Site) -> NDArray[np.float32]:
        space: CausalSpace = spaces.get(site) or setup.space(site)
        return space.rows(hierarchy.tokens).float().cpu().numpy()

    shown = shown_sites(setup.sites, sites, len(hierarchy.words))
    step(f"mapping {len(hierarchy.words):,} phrases at {len(shown)} sites")
    moving = attempt("maps", lambda: moving_map(shown, sharpest, points_at, seed))
    cloud = TokenCloud.of(spaces[sharpest], hierarchy)
    members = dict(zip(hierarchy.names, hierarchy.members, strict=True))
    directions = ConceptDirections.fit_cloud(cloud, max_tokens=evidence.MAX_TOKENS)
    labelled = maps.LabelledPoints(cloud.points.cpu().numpy(), members, hierarchy.words, hierarchy.lemmas)
    purity = {
        site: _purity(labelled.moved(points_at(site)), moving.layers[site], seed)
        for site in sites
        if moving is not None
    }
    family = simplex or planes
    mapper = None
    if family is None:
        left_out["mapper"] = left_out["simplex"]
    else:
        step(f"Mapper of the phrases of {family.names[0]}")
        how["n_permutations"] = min(permutations, _PERMUTATIONS)
        mapper = attempt("mapper", lambda: _mapper(spaces[sharpest], cloud, family, **how))
    return Pictures(
        model=setup.causal.unembedding.name,
        metric=setup.study.metric,
        hierarchy=hierarchy,
        sites=sites,
        sharpest=sharpest,
        claim=claim,
        planes=planes,
        simplex=simplex,
        moving=moving,
        purity=purity,
        typical=farthest_first(cloud.points, directions, members),
        mapper=mapper,
        left_out=left_out,
    )


def sharpest_site(sites: tuple[Site, ...], claims: Mapping[str, ClaimByBlock]) -> tuple[str, Site]:
    """The claim that says so, and the site; the middle of the model if none does."""
    measured = [claim for claim in claims.values() if not claim.orthogonal and claim.sharpest in sites]
    for claim in sorted(measured, key=lambda claim: claim.name != "existence"):
        if claim.sharpest is not None:
            return claim.name, claim.sharpest
    return "", sites[len(sites) // 2]


def three_sites(sites: tuple[Site, ...], sharpest: Site) -> tuple[Site, ...]:
    """The output of the first block, the sharpest, and the last; the middle too where the sharpest is one of these."""
    outputs = [site for site in sites if site.place == "output"] or list(sites)
    chosen = {outputs[0], sharpest, outputs[-1]}
    if len(chosen) < 3:
        chosen.add(outputs[len(outputs) // 2])
    return tuple(site for site in sites if site in chosen)


def _purity(labelled: maps.LabelledPoints, layer: LayerMap, seed: int) -> dict[str, TestResult]:
    """KNN purity in space and on the map of a site."""
    how: Any = {"n_permutations": _PERMUTATIONS, "seed": seed}
    return {
        where: maps.neighbourhood_purity(labelled, maps.nearest_neighbours(points, NEIGHBOURS, progress=False), **how)
        for where, points in (("in space", labelled.points), ("on the map", layer.coordinates))
    }


def _mapper(
    space: CausalSpace, cloud: TokenCloud, family: Family, *, n_permutations: int, seed: int
) -> MapperOfConcept:
    """Of the phrases of a family's parent, labelled by its children."""
    parent, *children = family.names
    labelled = maps.LabelledPoints.of_concept(cloud, parent, children).one_per_group()
    return mapper_of_concept(space, cloud, labelled, parent, n_permutations=n_permutations, seed=seed)
