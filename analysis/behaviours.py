"""Have classes of behaviour a place in the model: are they told on unseen templates and domains, and do words agree?

    python -m analysis.behaviours [--model M] [--families F F ...] [--draws N] [--out DIR] [--seed N]

Writes two figures, results.json and results.npz to figures/<model>/behaviours/. Every prompt is run once and read at
its last token after each block; a second run takes these activations from a file. A family is a packaged name or a
YAML file like data/behaviours/aggression.yaml.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import geometry as geo
from analysis.script import Run, arguments, run, whole_number
from geometry import views

HELD_OUT = ("template", "domain")
FINAL = geo.Site.parse("after_norm")


def main() -> int:
    """Parse arguments and run."""
    packaged = geo.packaged_behaviours()
    parser = arguments("behaviours", __doc__.splitlines()[0])
    parser.add_argument(
        "--families",
        nargs="+",
        default=packaged,
        metavar="F",
        help=f"{', '.join(packaged)}, or YAML or JSON files (default: all packaged)",
    )
    parser.add_argument("--draws", type=whole_number(19), default=39, help="of shuffled labels and rows (default: 39)")
    return run("behaviours", parser.parse_args(), analyse)


@dataclass(frozen=True, eq=False)
class Routes:
    """The word route against the prompt route, and the same with shuffled rows for words."""

    matching: geo.Matching
    shuffled: NDArray[np.float64]

    @property
    def p_shuffled(self) -> float:
        """Share of draws of shuffled rows whose mean cosine is as large."""
        return geo.permutation_p(self.matching.value, self.shuffled.mean(axis=1), "greater")


def analyse(this: Run) -> None:
    """The whole analysis, in the order of a method section."""
    families = load_families(this.settings["families"])
    this.step(f"reading the unembedding of {this.model}")
    unembedding = geo.Unembedding.load(this.model)
    space = geo.CausalSpace.fit(unembedding)
    words = {name: family.hierarchy(unembedding.vocabulary) for name, family in families.items()}

    this.step("reading activations")
    activations = read(this.model, families)

    this.step("classifying held-out prompts")
    layers = {
        name: {kind: held_out(this, family, activations[name], kind) for kind in HELD_OUT}
        for name, family in families.items()
    }
    this.step("comparing words with prompts")
    routes = {
        name: compare_routes(this, space, words[name], family, activations[name][FINAL])
        for name, family in families.items()
        if len(family.classes) > 2
    }

    this.step("drawing")
    this.output.figure("layers", layers_figure(layers))
    if routes:
        this.output.figure("routes", routes_figure(families, routes))
    self_described = {
        name: {
            "classes": {
                one.name: {
                    "prompts": len(one.prompts),
                    "words": list(words[name][one.name].words),
                }
                for one in family.classes
            },
            "ordered": family.ordered,
            "kind": family.kind,
            "layers": {kind: layers_summary(layers[name][kind]) for kind in HELD_OUT},
            **({"routes": routes_summary(family, routes[name])} if name in routes else {}),
        }
        for name, family in families.items()
    }
    this.write_results(unembedding.summary(), {"families": self_described})
    this.output.arrays(
        "results",
        **{f"{name}/{kind}": found.accuracy for name, kinds in layers.items() for kind, found in kinds.items()},
        **{f"{name}/routes": found.matching.cosines for name, found in routes.items()},
    )


def load_families(sources: list[str]) -> dict[str, geo.Behaviour]:
    """Families by name, two of one name refused."""
    families: dict[str, geo.Behaviour] = {}
    for source in sources:
        family = geo.load_behaviour(source)
        if family.name in families:
            raise geo.HierarchyError(f"two families are called {family.name!r}; name each once")
        families[family.name] = family
    return families


def read(model_name: str, families: dict[str, geo.Behaviour]) -> dict[str, dict[geo.Site, torch.Tensor]]:
    """Activations of each family's prompts, in the order of classes, at the output of each block and after the norm."""
    model, tokenizer = geo.load_model(model_name)
    sites = [geo.Site("output", block) for block in range(len(geo.ModelLayout.of(model).blocks))]
    return {
        name: geo.cached_activations(model, tokenizer, [prompt.text for prompt in prompts(family)], [*sites, FINAL])
        for name, family in families.items()
    }


def prompts(family: geo.Behaviour) -> list[geo.Prompt]:
    return [prompt for one in family.classes for prompt in one.prompts]


def labels(family: geo.Behaviour) -> list[str]:
    return [one.name for one in family.classes for _ in one.prompts]


def held_out(
    this: Run, family: geo.Behaviour, activations: dict[geo.Site, torch.Tensor], kind: str
) -> geo.HeldOutSweep:
    some = prompts(family)
    groups = [getattr(prompt, kind) for prompt in some]
    cells = [(prompt.template, prompt.domain) for prompt in some]
    options = {"cells": cells, "draws": this.settings["draws"], "seed": this.seed}
    return geo.HeldOutSweep(
        [geo.classify_held_out(rows.numpy(), labels(family), groups, **options) for rows in activations.values()]
    )


def compare_routes(
    this: Run, space: geo.CausalSpace, words: geo.ConceptHierarchy, family: geo.Behaviour, final: torch.Tensor
) -> Routes:
    """Σ^(1/2) of the mean final hidden state of each class against the concept vector of its words."""
    owner = np.array(labels(family))
    means = torch.stack([final[torch.from_numpy(owner == one.name)].to(space.mean).mean(0) for one in family.classes])
    shown = (means @ space.colourer).numpy()

    def matching(cloud: geo.TokenCloud) -> geo.Matching:
        directions = geo.ConceptDirections.fit_cloud(cloud)
        named = torch.stack([directions[one.name] for one in family.classes]).numpy()
        return geo.matched_cosines(named, shown, seed=this.seed)

    cloud = geo.TokenCloud.of(space, words)
    streams = (np.random.default_rng([this.seed, draw]) for draw in range(this.settings["draws"]))
    drawn = [matching(geo.NULLS["shuffled"].draw(space, cloud, stream)).cosines.diagonal() for stream in streams]
    return Routes(matching(cloud), np.array(drawn))


def layers_figure(layers: dict[str, dict[str, geo.HeldOutSweep]]) -> views.Figure:
    panels = []
    for name, kinds in layers.items():
        places = np.arange(float(len(kinds["template"].found)))
        lines = {f"unseen {kind}": (places, found.accuracy) for kind, found in kinds.items()}
        noise = max(found.threshold for found in kinds.values())
        lines["shuffled labels, 95% of their best block"] = (places, np.full(len(places), noise))
        title = f"{name} ({len(kinds['template'].found[0].classes)} classes)"
        chance = kinds["template"].found[0].chance
        axes = ("after block (last: final norm)", "balanced accuracy")
        panels.append(views.Curves(title, *axes, lines, (chance, "chance"), marked=False))
    return views.plot_curves(
        panels,
        controls=["shuffled labels, 95% of their best block"],
        finding=layers_finding(layers),
        detail="Ridge regression on the stream at a prompt's last token, fitted without one template or one domain"
        " and judged on it; labels are shuffled within template and domain.",
        columns=min(3, len(panels)) if len(panels) != 4 else 2,
    )


def layers_finding(layers: dict[str, dict[str, geo.HeldOutSweep]]) -> str:
    firsts = {name: [found.first for found in kinds.values()] for name, kinds in layers.items()}
    seen = [name for name, places in firsts.items() if None not in places]
    if not seen:
        return "No family of behaviour is told on unseen templates and domains better than shuffled labels are"
    best = {name: min(float(found.accuracy.max()) for found in layers[name].values()) for name in seen}
    start = max(place for name in seen for place in firsts[name] if place is not None)
    whole = "All" if len(seen) == len(layers) else f"{len(seen)} of {len(layers)}"
    low, high = min(best.values()), max(best.values())
    ranged = f"{low:.2f}" if len(best) == 1 else f"{low:.2f} to {high:.2f}"
    return (
        f"{whole} families are told on unseen templates and domains, from block {start} on at the latest;"
        f" at best {ranged}"
    )


def routes_figure(families: dict[str, geo.Behaviour], routes: dict[str, Routes]) -> views.Figure:
    names, rows = [], []
    for name, found in routes.items():
        cosines = found.matching.cosines
        for place, one in enumerate(families[name].classes):
            names.append(f"{name}: {one.name}")
            own = float(cosines[place, place])
            others = float(np.delete(cosines[place], place).max())
            noise = float(np.quantile(found.shuffled[:, place], 0.95))
            rows.append(
                views.DotRow(
                    {"prompts of the class": (own, own, own)},
                    {"prompts of the nearest other class": others, "shuffled rows, 95%": noise},
                )
            )
    few = [name for name, found in routes.items() if 1 / (1 + len(found.matching.nulls)) > 0.05]
    real = [name for name, found in routes.items() if found.matching.p_value <= 0.05 and found.p_shuffled <= 0.05]
    values = [found.matching.value for found in routes.values()]
    return views.plot_dots(
        [views.Dots("cosine of the words' vector with the mean of prompts", rows)],
        names,
        finding=f"Words and prompts point the same way in {len(real)} of {len(routes)} families:"
        f" mean cosine {min(values):.2f} to {max(values):.2f}",
        detail="Words: concept vector of a class's words, less the family's mean. Prompts: mean final hidden state,"
        " carried by the root of the covariance, less the family's mean. A family counts where it is beyond"
        " 95% of permuted classes and of shuffled rows."
        + (f" Too few classes for that: {', '.join(few)}." if few else ""),
    )


def layers_summary(found: geo.HeldOutSweep) -> dict[str, Any]:
    return {
        "accuracy": found.accuracy.tolist(),
        "threshold": found.threshold,
        "first": found.first,
        "best": int(found.accuracy.argmax()),
        "at_best": found.found[int(found.accuracy.argmax())].to_dict(),
    }


def routes_summary(family: geo.Behaviour, found: Routes) -> dict[str, Any]:
    own = found.matching.cosines.diagonal()
    return {
        "mean_cosine": found.matching.value,
        "classes": {one.name: float(value) for one, value in zip(family.classes, own, strict=True)},
        "permuted": {
            "mean": float(found.matching.nulls.mean()),
            "draws": len(found.matching.nulls),
            "p_value": found.matching.p_value,
        },
        "shuffled": {
            "mean": float(found.shuffled.mean()),
            "draws": len(found.shuffled),
            "p_value": found.p_shuffled,
        },
    }


if __name__ == "__main__":
    raise SystemExit(main())
