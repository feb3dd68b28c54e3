"""What all formats share: what a caller adds to what the files say, and factors that are folded into weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geometry.dictionaries.dictionary import known_as
from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.errors import EstimationError, ModelError, shown
from geometry.steering.vector import Site


@dataclass(frozen=True)
class Given:
    """What the caller knows beside the files; None for what they are to say.

    `name` is what the dictionary is called by, `path` what stands for its folders' names.
    """

    name: str
    path: str
    site: Site | None = None
    model: str | None = None
    norm_scale: float | None = None
    centred: bool | None = None

    def norm_scale_for(self, folder: Path) -> float:
        """The factor of all rows; ModelError where the caller did not give what the files leave out."""
        if self.norm_scale is None:
            raise ModelError(
                f"{folder}: is for activations scaled to a mean norm of √d, and does not say by how much; give"
                " norm_scale=√d / their mean norm"
            )
        if not self.norm_scale > 0 or self.norm_scale == float("inf"):
            raise ModelError(f"{folder}: norm_scale is a positive factor, not {self.norm_scale}")
        return self.norm_scale

    def finished(self, parts: dict[str, Any], notes: list[str], folder: Path) -> FeatureDictionary:
        """The dictionary of what was read, unless it contradicts the caller, which is a ModelError."""
        site, model = parts.get("site"), str(parts.get("model") or "")
        if self.site is not None and site not in (None, self.site):
            raise ModelError(f"{folder}: is for {site}, not for {self.site}")
        if self.model is not None and model and known_as(model) != known_as(self.model):
            raise ModelError(f"{folder}: is for {model}, not for {self.model}")
        if self.norm_scale is not None and not any(note.startswith("scaled by") for note in notes):
            raise ModelError(f"{folder}: its files say all about scale; leave norm_scale out")
        if self.centred and parts.get("normalisation") not in ("centre", "layer"):
            raise ModelError(f"{folder}: of this kind of file the residual stream is never centred; leave centred out")
        parts |= {"site": self.site or site, "model": model or self.model or "", "source": self.name}
        kept = tuple(note for note in notes if note and not (self.site is not None and "no site" in note))
        try:
            return FeatureDictionary(**parts, notes=kept)
        except EstimationError as error:
            raise ModelError(f"{folder}: not a sparse autoencoder: {error}") from error


def flag(config: Mapping[str, Any], name: str, default: bool, folder: Path) -> bool:
    """A setting that is true or false; ModelError for anything else."""
    value = config.get(name)
    if value is None or isinstance(value, bool):
        return default if value is None else value
    raise ModelError(f"{folder}: {name} is true or false, not {shown(value)}")


def check_size(config: Mapping[str, Any], parts: Mapping[str, Any], folder: Path, *names: str) -> None:
    """ModelError where the width and the number of features that are stated are not those of the encoder."""
    for name, size in zip(names, parts["encoder"].shape, strict=False):
        stated = config.get(name)
        if stated is not None and (isinstance(stated, bool) or stated not in (0, size)):
            raise ModelError(f"{folder}: {name} is said to be {shown(stated)}, and the encoder has {size}")


def rescaled(parts: dict[str, Any], scale: float, notes: list[str], scale_out: float | None = None) -> None:
    """Fold a factor of all rows into the weights: encoder × s, decoder and its bias / s, thresholds as they are."""
    out = scale if scale_out is None else scale_out
    parts["encoder"] = parts["encoder"] * scale
    parts["decoder"], parts["decoder_bias"] = parts["decoder"] / out, parts["decoder_bias"] / out
    notes.append(f"scaled by {scale:.6g} so that the mean norm is √d; the factor is folded into the weights")


def weights_folded(parts: dict[str, Any]) -> list[str]:
    """Make decoder rows of norm 1, and features so much larger, for what is chosen by z‖W_dec‖."""
    norms = parts["decoder"].norm(dim=1).clamp(min=1e-8)
    parts["encoder"], parts["encoder_bias"] = parts["encoder"] * norms, parts["encoder_bias"] * norms
    parts["decoder"] = parts["decoder"] / norms[:, None]
    return ["features are in units of their decoder's norm, which is folded into the encoder"]
