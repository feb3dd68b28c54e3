"""Activations: what was read in a model's residual stream, by site however the site is written."""

from typing import Any

import torch

from geometry.display import html_table, in_short, listed
from geometry.errors import SteeringError
from geometry.steering.vector import Site


class Activations(dict[Site, torch.Tensor]):
    """Site → tensor, in the order in which the sites were asked for.

    >>> activations = Activations({Site("output", 15): torch.zeros(2, 8)})
    >>> activations["output.15"].shape, activations[15].shape, "output.3" in activations
    (torch.Size([2, 8]), torch.Size([2, 8]), False)

    Raises SteeringError: a site at which nothing was read.
    """

    def __missing__(self, key: object) -> torch.Tensor:
        site = _parsed(key)
        if site is None or not dict.__contains__(self, site):
            raise SteeringError(f"nothing was read at {key}; there is {listed([str(site) for site in self])}")
        return dict.__getitem__(self, site)

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, _parsed(key))

    def get(self, key: Any, default: Any = None) -> Any:
        """What was read at a site, or the default where nothing was."""
        return self[key] if key in self else default  # noqa: SIM401 (this is what it would call)

    def __repr__(self) -> str:
        shapes = {
            f"{'×'.join(map(str, rows.shape))} {str(rows.dtype).removeprefix('torch.')}" for rows in self.values()
        }
        return f"Activations({listed([str(site) for site in self])}: {in_short(' or '.join(sorted(shapes)), 60)})"

    def _repr_html_(self) -> str:
        rows = (
            (site, " × ".join(map(str, read.shape)), float(read.float().norm(dim=-1).mean()))
            for site, read in self.items()
        )
        return html_table(("site", "shape", "mean norm"), rows, repr(self))


def _parsed(key: object) -> Site | None:
    try:
        return Site.parse(key) if isinstance(key, Site | str | int) and not isinstance(key, bool) else None
    except SteeringError:
        return None
