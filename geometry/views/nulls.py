"""The same concepts fitted on a null model, to be seen beside the model's."""

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.directions import ConceptDirections
from geometry.errors import EstimationError, shown
from geometry.evidence import NULLS, NullModel
from geometry.randomness import generator


@checked
def null_directions(
    space: CausalSpace, directions: ConceptDirections, null: str | NullModel = "shuffled", *, seed: int = 0
) -> ConceptDirections:
    """Concept vectors of a null model, fitted to the same words by the same estimator.

    >>> import geometry as geo
    >>> space = geo.CausalSpace.fit(geo.Unembedding.load("smollm2-135m"))
    >>> directions = geo.ConceptDirections.fit(space, geo.load_hierarchy("organisms", space.unembedding.vocabulary))
    >>> beside = {"shuffled rows": geo.views.null_directions(space, directions)}
    >>> figure = geo.views.heatmap(directions, beside=beside)

    Parameters:
        null: a name of `geo.NULLS` or a null model of your own.
        seed: of the one permutation or sample that is drawn.

    EstimationError: an unknown null model, or one that draws concepts instead of rows, which have no vectors to stand
    beside these.
    """
    if isinstance(null, str):
        if null not in NULLS:
            raise EstimationError(f"no null model is called {shown(null)}; there are {', '.join(NULLS)}")
        name, null = null, NULLS[null]
    else:
        name = null.label
    cloud = null.draw(space, directions.cloud, generator(seed, name))
    if cloud.hierarchy is not directions.hierarchy:
        raise EstimationError(f"null model {name!r} draws other concepts; take one of rows or metrics, as 'shuffled'")
    return ConceptDirections.fit_cloud(
        cloud,
        estimator=null.estimator or directions.estimator,
        train=directions.train,
        max_tokens=directions.max_tokens,
        missing="nan",
    )
