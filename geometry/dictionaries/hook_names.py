"""Sites under the names of other libraries: TransformerLens' hooks, and modules of Hugging Face models."""

import re

from geometry.steering.vector import Site

_LENS = re.compile(r"blocks\.(\d{1,5})\.(hook_resid_pre|hook_resid_post|hook_mlp_out|hook_attn_out)")
_PLACES = {"hook_resid_pre": "input", "hook_resid_post": "output", "hook_mlp_out": "mlp", "hook_attn_out": "attention"}
_MODULE = re.compile(
    r"(?:[\w.]+\.)?(?:layers|h|blocks)\.(\d{1,5})(?:\.(output|mlp|self_attn|attn|attention))?", re.ASCII
)
_PARTS = {"": "output", "output": "output", "mlp": "mlp", "self_attn": "attention"}
_PARTS |= {"attn": "attention", "attention": "attention"}
# Their blocks have norms after attention and MLP too; the hooks lie behind these, our sites before.
_NORMED_AFTER = re.compile(r"gemma-?[23]|olmo-?2|glm-?4", re.IGNORECASE)


def site_of(hook: str, model: str = "") -> tuple[Site | None, str]:
    """The site that a hook or a module's name means, and a note where it means none.

    >>> site_of("blocks.8.hook_resid_pre"), site_of("layers.3")
    ((Site(place='input', block=8, relative=False), ''), (Site(place='output', block=3, relative=False), ''))
    """
    if (found := _LENS.fullmatch(hook)) is not None:
        place, block = _PLACES[found[2]], int(found[1])
    elif (found := _MODULE.fullmatch(hook)) is not None:
        place, block = _PARTS[found[2] or ""], int(found[1])
    else:
        return None, f"it reads {hook or 'a place that nothing names'}, which is no site of this package"
    if place in ("mlp", "attention") and _NORMED_AFTER.search(model):
        return None, f"it reads {hook} behind the norm that follows in {model}, which is no site of this package"
    return Site(place, block), ""  # type: ignore[arg-type]


def hook_of(site: Site | None) -> str:
    """The TransformerLens hook of a site; "" where it has none.

    >>> hook_of(Site("output", 3))
    'blocks.3.hook_resid_post'
    """
    names = {place: hook for hook, place in _PLACES.items()}
    return "" if site is None or site.place not in names else f"blocks.{site.block}.{names[site.place]}"
