"""FeatureDictionary: a sparse autoencoder that is read, not trained: encoder, decoder and what stands between them."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from numpy.typing import ArrayLike

from geometry.arguments import checked
from geometry.dictionaries.dictionary import Dictionary
from geometry.errors import EstimationError
from geometry.steering.vector import Site

Activation = Literal["relu", "jumprelu", "topk"]
Normalisation = Literal["none", "centre", "norm", "layer"]
_EPS = 1e-5  # beside the standard deviation, as where the dictionaries come from


@checked(encoder=object, decoder=object, encoder_bias=object, decoder_bias=object, threshold=object)
@dataclass(frozen=True, eq=False, repr=False)
class FeatureDictionary(Dictionary):
    """z = activation((x − b_dec) W_enc + b_enc), and x ≈ z W_dec + b_dec.

    >>> encoder = torch.tensor([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> signs = FeatureDictionary(encoder, encoder.T, torch.zeros(3), torch.zeros(2))
    >>> signs.encode([[2.0, 0.0], [-3.0, 5.0]])
    tensor([[2., 0., 0.],
            [0., 3., 5.]])
    >>> signs.reconstruct([[-3.0, 5.0]])
    tensor([[-3.,  5.]])

    Parameters:
        encoder, decoder: W_enc, shape (d, f), and W_dec, shape (f, d).
        encoder_bias, decoder_bias: b_enc, shape (f,), and b_dec, shape (d,).
        activation: "relu"; "jumprelu", which leaves what exceeds the feature's threshold as it is; "topk", which leaves
            the k largest of each row. Both give nothing below 0. Batch-TopK is read with its threshold, as "jumprelu".
        threshold: θ of "jumprelu", shape (f,).
        k: of "topk".
        subtract_decoder_bias: whether b_dec is subtracted before the encoder.
        normalisation: of each row before all else, undone by `reconstruct`: "centre" takes the mean of its d
            coordinates away; "norm" scales it to norm √d; "layer" does both, to a standard deviation of 1.
        site, model, source, notes: as of `Dictionary`.

    All is kept as float32. One factor for all rows is folded into the weights where a dictionary is read.

    Raises EstimationError: shapes that do not belong together, NaN or infinity, an activation without its numbers.
    Sources: Bricken et al. 2023, Cunningham et al. (arXiv 2309.08600); Rajamanoharan et al. (arXiv 2407.14435) for
        JumpReLU; Gao et al. (arXiv 2406.04093) for TopK; Bussmann et al. (arXiv 2412.06410) for Batch-TopK.
    """

    encoder: torch.Tensor
    decoder: torch.Tensor
    encoder_bias: torch.Tensor
    decoder_bias: torch.Tensor
    activation: Activation = "relu"
    threshold: torch.Tensor | None = None
    k: int | None = None
    subtract_decoder_bias: bool = False
    normalisation: Normalisation = "none"
    site: Site | None = None
    model: str = ""
    source: str = "dictionary"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("encoder", "decoder", "encoder_bias", "decoder_bias", "threshold"):
            if (value := getattr(self, name)) is not None:
                # Contiguous once, as all is multiplied again and again.
                kept = torch.as_tensor(value).detach().to("cpu", torch.float32).contiguous()
                object.__setattr__(self, name, kept)
        width, count = self.encoder.shape if self.encoder.ndim == 2 else (0, 0)
        expected = {"decoder": (count, width), "encoder_bias": (count,), "decoder_bias": (width,)}
        expected |= {"threshold": (count,)} if self.threshold is not None else {}
        if not width or not count:
            raise EstimationError(f"{self.source}: an encoder has shape (d, f), not {tuple(self.encoder.shape)}")
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise EstimationError(
                    f"{self.source}: with an encoder of shape {(width, count)} the {name.replace('_', ' ')} has shape"
                    f" {shape}, not {tuple(getattr(self, name).shape)}"
                )
        for name in ("encoder", *expected):
            if not bool(getattr(self, name).isfinite().all()):
                raise EstimationError(f"{self.source}: the {name.replace('_', ' ')} holds NaN or infinity")
        self._check_activation(count)

    def _check_activation(self, count: int) -> None:
        if self.activation not in get_args(Activation) or self.normalisation not in get_args(Normalisation):
            raise EstimationError(
                f"{self.source}: unknown activation {self.activation!r} or normalisation {self.normalisation!r}; there"
                f" are {', '.join(get_args(Activation))} and {', '.join(get_args(Normalisation))}"
            )
        if (self.activation == "jumprelu") != (self.threshold is not None):
            raise EstimationError(f"{self.source}: thresholds belong to jumprelu, which needs them, and to no other")
        if (self.activation == "topk") != (self.k is not None):
            raise EstimationError(f"{self.source}: k belongs to topk, which needs it, and to no other")
        if self.k is not None and not 0 < self.k <= count:
            raise EstimationError(f"{self.source}: k is 1 to {count}, the number of features, not {self.k}")

    def __repr__(self) -> str:
        how = f"topk {self.k}" if self.activation == "topk" else self.activation
        where = " at ".join(filter(None, [self.model, str(self.site) if self.site is not None else ""]))
        return f"FeatureDictionary({self.source!r}, {self.n_features:,} features of width {self.width}, {how}; {where})"

    @checked
    def encode(self, rows: ArrayLike | torch.Tensor) -> torch.Tensor:
        """z of rows (n, d), shape (n, f), none below 0.

        Raises EstimationError: rows of another width, NaN or infinity.
        """
        return self._encode(self.normalised(self.rows_of(rows)))

    @checked
    def reconstruct(self, rows: ArrayLike | torch.Tensor) -> torch.Tensor:
        """The rows (n, d) as the dictionary gives them back, shape (n, d), with their own mean and norm if it needs it.

        Raises EstimationError: rows of another width, NaN or infinity.
        """
        parts = []
        for part in self.batches(rows):
            normalised, shift, scale = self._normalised(part)
            parts.append(self.decode(self._encode(normalised)) * scale + shift)
        return torch.cat(parts) if parts else torch.zeros(0, self.width)

    def normalised(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows (n, d) as the encoder takes them, before b_dec is subtracted."""
        return self._normalised(rows)[0]

    def _encode(self, normalised: torch.Tensor) -> torch.Tensor:
        before = normalised - self.decoder_bias if self.subtract_decoder_bias else normalised
        before = torch.addmm(self.encoder_bias, before, self.encoder)
        if self.k is not None:
            largest, where = before.topk(self.k, dim=1)
            return torch.zeros_like(before).scatter_(1, where, largest.clamp_(min=0))
        if self.threshold is None:
            return before.clamp_(min=0)
        return torch.where(before > self.threshold.clamp(min=0), before, 0.0)

    def _normalised(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The rows as the encoder takes them, and what they were shifted and scaled by, each (n, 1)."""
        shift, scale = torch.zeros(len(rows), 1), torch.ones(len(rows), 1)
        if self.normalisation in ("centre", "layer"):
            shift = rows.mean(dim=1, keepdim=True)
            rows = rows - shift
        if self.normalisation == "norm":
            scale = torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp(min=1e-12) / self.width**0.5
            rows = rows / scale
        elif self.normalisation == "layer":
            scale = rows.std(dim=1, keepdim=True)
            rows = rows / (scale + _EPS)
        return rows, shift, scale
