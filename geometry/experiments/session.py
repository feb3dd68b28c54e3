"""What the studies of one run share: a model is read, its space fitted and its words spelled once, not once a study."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy, load_hierarchy
from geometry.directions import TokenCloud
from geometry.models import Unembedding, Vocabulary, load_model
from geometry.models.placement import Placement

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from geometry.concepts.wordnet import Recipe

Kept = TypeVar("Kept")


class Session:
    """Models, spaces and hierarchies that one run has asked for; whatever asks again is given the same.

    >>> session, place = Session(), Placement()
    >>> session.space("smollm2-135m", place) is session.space("smollm2-135m", place)
    True

    A study takes them from `Step.session`. All that decides their numbers is in the key: the model as it was named, the
    device and the precision; the hierarchy, its recipe and the vocabulary. They live as long as the session, but for
    whitened rows, which go when a whole model is loaded, and that model, which goes when another one is.

    Errors are those of what is called, at every call.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Any] = {}
        self._points: dict[tuple[CausalSpace, ConceptHierarchy], Any] = {}
        self._model: tuple[tuple[object, ...], Any] = ((), None)

    def unembedding(self, model: str, place: Placement) -> Unembedding:
        """`Unembedding.load`."""
        options = place.of_unembedding
        return self._once((model, *options.values()), lambda: Unembedding.load(model, **options))

    def space(self, model: str, place: Placement) -> CausalSpace:
        """`CausalSpace.fit` of the unembedding."""
        options = place.of_space
        key = (CausalSpace, model, *options.values())
        return self._once(key, lambda: CausalSpace.fit(self.unembedding(model, place), **options))

    def hierarchy(self, source: str, vocabulary: Vocabulary, recipe: "Recipe" = "published") -> ConceptHierarchy:
        """`load_hierarchy`."""
        return self._once((source, vocabulary, recipe), lambda: load_hierarchy(source, vocabulary, recipe=recipe))

    def cloud(self, space: CausalSpace, hierarchy: ConceptHierarchy) -> TokenCloud:
        """`TokenCloud.of`: points are shared; inner products, which take gigabytes, go with the cloud that has them."""
        key = space, hierarchy
        if key not in self._points:
            self._points[key] = TokenCloud.of(space, hierarchy).points
        return TokenCloud(hierarchy, self._points[key])

    def language_model(self, model: str, place: Placement) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        """`load_model`; whoever changes the model, as by a hook, undoes it."""
        options = place.of_model
        key = (model, *options.values())
        if self._model[0] != key:
            self.make_room()
            self._model = key, load_model(model, **options)
        loaded: tuple[PreTrainedModel, PreTrainedTokenizerBase] = self._model[1]
        return loaded

    def make_room(self) -> None:
        """Let go of whitened rows and of the language model, which take the most memory and come again if asked for."""
        self._points.clear()
        self._model = (), None
        for kept in self._kept.values():
            if isinstance(kept, CausalSpace):
                vars(kept).pop("unified", None)

    def _once(self, key: tuple[object, ...], compute: Callable[[], Kept]) -> Kept:
        if key not in self._kept:
            self._kept[key] = compute()
        kept: Kept = self._kept[key]
        return kept
