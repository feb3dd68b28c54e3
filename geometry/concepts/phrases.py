"""Words and phrases of any number of tokens as entries of a hierarchy, for representations that are read in context."""

from functools import cached_property

from geometry.arguments import checked
from geometry.concepts.frequency import word_ranks
from geometry.errors import HierarchyError
from geometry.models import Vocabulary


@checked
class AnyPhrase(Vocabulary):
    """A vocabulary in which every word and every phrase is one entry, whatever tokens a model makes of it.

    >>> phrases = AnyPhrase()
    >>> phrases.word_id("polar bear"), phrases.text(1), phrases.word_id("gyrfalcon")
    (1, ' polar bear', 2)
    >>> AnyPhrase(20_000).word_id("gyrfalcon") is None
    True
    >>> import geometry as geo
    >>> geo.load_hierarchy({"bear": {"white": ["polar bear"], "brown": ["Kodiak", "grizzly"]}}, phrases)["bear"].words
    ('polar bear', 'Kodiak', 'grizzly')

    Parameters:
        most_frequent: only phrases each of whose words is among so many most frequent ones (`word_ranks`), for WordNet,
            most of whose 119,034 nouns few models know; 20,000 leave 34,453. All models are asked for the same.
            Default: all phrases, as is right for words of one's own.

    Hierarchies over it, WordNet's too, hold words as they are written, without plurals and capitals; `read_phrases`
    reads their words, and `hierarchy.over(activations.vocabulary)` belongs to what was read.

    HierarchyError: most_frequent below 1.
    """

    takes_phrases = True

    @checked
    def __init__(self, most_frequent: int | None = None) -> None:
        if most_frequent is not None and most_frequent < 1:
            raise HierarchyError(f"most_frequent must be at least 1, or None for all phrases, not {most_frequent}")
        super().__init__([" "])
        self.most_frequent = most_frequent
        self._known: dict[str, int] = {}

    @cached_property
    def word_start(self) -> str:
        """A plain space."""
        return " "

    @property
    def words(self) -> dict[str, int]:
        """The phrases that were asked for."""
        return self._known

    def word_id(self, word: str) -> int | None:
        """A number of its own for each phrase; None for what is not frequent enough, or nothing but spaces."""
        if word not in self._known and not self._frequent(word):
            return None
        return self._known.setdefault(word, 1 + len(self._known))

    def _frequent(self, phrase: str) -> bool:
        parts = phrase.split()
        if not parts or " ".join(parts) != phrase:
            return False
        ranks, most = word_ranks(), self.most_frequent
        known = [ranks[phrase.lower()]] if phrase.lower() in ranks else [ranks.get(part.lower()) for part in parts]
        return most is None or all(rank is not None and rank <= most for rank in known)

    def __len__(self) -> int:
        return 1 + len(self._known)

    def text(self, index: int) -> str:
        """The phrase after a space."""
        return f" {list(self._known)[index - 1]}" if index else " "
