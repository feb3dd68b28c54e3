"""How often and how strongly each feature, or code, is active in each class of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.dictionaries.dictionary import Dictionary
from geometry.display import html_table, listed, short_repr
from geometry.errors import EstimationError, shown

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassActivity:
    """Features by class; whether a difference is more than chance, `feature_difference` tests.

    Attributes:
        classes: in order of first appearance, shape (c,).
        n: rows of each, shape (c,).
        rates: share of a class's rows in which a feature is active, shape (c, f).
        means: mean activation over them, shape (c, f).
    """

    classes: tuple[str, ...]
    n: NDArray[np.int64]
    rates: Array
    means: Array

    __repr__ = short_repr

    def top(self, name: str, most: int = 10) -> "DataFrame":
        """The features that are active in more of a class's rows than elsewhere, the largest difference first.

        Raises EstimationError: no such class.
        """
        from pandas import DataFrame

        if name not in self.classes:
            raise EstimationError(f"no class {shown(name)}; there are {listed(list(self.classes))}")
        own = self.classes.index(name)
        others = np.arange(len(self.classes)) != own
        elsewhere = self.n[others] @ self.rates[others] / max(1, self.n[others].sum())
        order = np.argsort(-(self.rates[own] - elsewhere), kind="stable")[:most]
        columns = {"rate": self.rates[own, order], "elsewhere": elsewhere[order], "mean": self.means[own, order]}
        return DataFrame(columns, index=order)

    def _repr_html_(self) -> str:
        rows = [
            (name, int(n), float((rate > 0).sum()))
            for name, n, rate in zip(self.classes, self.n, self.rates, strict=True)
        ]
        return html_table(("class", "rows", "features that are ever active"), rows, repr(self))


@checked
def class_activity(dictionary: Dictionary, rows: ArrayLike, labels: Sequence[object]) -> ClassActivity:
    """Features, or codes, per class.

    Example::

        class_activity(codebook, activations["output.12"], labels).top("angry")

    Parameters:
        rows: shape (n, d).
        labels: the class of each row.

    Raises EstimationError: rows of another width, labels that are not one a row.
    """
    z = dictionary.encode_sparse(rows)
    if len(labels) != z.shape[0] or not len(labels):
        raise EstimationError(f"{z.shape[0]} rows need as many labels, not {len(labels)}")
    names = [str(label) for label in labels]
    classes = tuple(dict.fromkeys(names))
    members = np.array([[name == own for name in names] for own in classes], dtype=np.float64)
    n = members.sum(axis=1)
    rates, means = (np.asarray(members @ part) / n[:, None] for part in ((z > 0).astype(np.float64), z))
    return ClassActivity(classes, n.astype(np.int64), rates, means)
