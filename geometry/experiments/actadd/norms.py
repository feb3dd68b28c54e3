"""How large the vector is beside the residual stream, by block and by position."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.actadd.setup import Bench
from geometry.steering import Site, encode, record_activations
from geometry.steering.architecture import Architecture, evaluating

POSITIONS = 8
_TEXTS = 12


@dataclass(frozen=True, eq=False)
class Norms:
    """Norms before every block.

    Attributes:
        vector: of the vector's rows there, coefficient 1, shape (blocks, p).
        residual: of the residual stream at the first tokens of the texts on topic, shape (texts, blocks, positions).
        embedding: norm of the embedding difference of the same words.
    """

    vector: NDArray[np.float64]
    residual: NDArray[np.float64]
    embedding: float

    __repr__ = short_repr

    @property
    def ratio(self) -> NDArray[np.float64]:
        """The largest row's norm over the mean residual norm, shape (blocks, positions)."""
        return np.asarray(self.vector.max(axis=1)[:, None] / self.residual.mean(axis=0))


def measure_norms(bench: Bench) -> Norms:
    """Of the vector read before every block, beside the residual stream of the texts on topic."""
    sites = [Site("input", block) for block in range(bench.depth)]
    vectors = [bench.at(block)[0] for block in range(bench.depth)]
    rows = [torch.linalg.vector_norm(next(iter(vector.parts.values())).double(), dim=1).numpy() for vector in vectors]
    architecture, texts = Architecture.of(bench.model), bench.sets[bench.topic.name][:_TEXTS]
    kept = []
    for text in texts:  # one by one: of all blocks at once only norms are kept, and padding would shift positions
        batch = encode(bench.tokenizer, [text], bos=bench.bos, device=architecture.device)
        ids = batch.input_ids[:, :POSITIONS]
        with torch.no_grad(), evaluating(bench.model), record_activations(bench.model, sites) as recorded:
            bench.model(input_ids=ids)
        norms = [torch.linalg.vector_norm(recorded[site][0].double(), dim=1).cpu().numpy() for site in sites]
        kept.append(np.pad(norms, ((0, 0), (0, POSITIONS - ids.shape[1])), constant_values=np.nan))
    shared = min(int(np.isfinite(each[0]).sum()) for each in kept)
    residual = np.stack(kept)[:, :, :shared]
    return Norms(np.stack(rows), residual, float(rows[0].max()))
