"""Have classes of behaviour a place in the model, how do they relate, and can one steer between any two of them?

    python -m analysis.behaviours [--model M] [--families F F ...] [--draws N] [--out DIR] [--seed N]

Writes ten figures, completions.html, results.json and results.npz to figures/<model>/behaviours/. Every prompt is run
once and read at its last token after each block; a second run takes these activations from a file. A family is a
packaged name or a YAML file like data/behaviours/aggression.yaml.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import geometry as geo
from analysis.behaviours_classes import (
    HELD_OUT,
    Routes,
    best_block,
    compare_routes,
    contrasts,
    held_out,
    levels,
    opposed,
    shape,
)
from analysis.behaviours_figures import (
    completions_page,
    composed_figure,
    contrasts_figure,
    layers_figure,
    levels_figure,
    opposites_figure,
    pairs_figure,
    report,
    routes_figure,
    shapes_figure,
    steering_figure,
    transfer_figure,
)
from analysis.behaviours_steering import Steered, steer_family
from analysis.behaviours_study import Study, names, prepare
from analysis.script import Run, arguments, run, whole_number


def main() -> int:
    """Parse arguments and run."""
    packaged = geo.concepts.packaged_behaviours()
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


def analyse(this: Run) -> None:
    """The whole analysis, in the order of a method section."""
    study = prepare(this)

    this.step("telling held-out prompts")
    sweeps = {name: {kind: held_out(study, name, kind) for kind in HELD_OUT} for name in study.families}
    blocks = {name: best_block(study, by) for name, by in sweeps.items()}

    this.step("comparing words with prompts, and classes with each other")
    routes = compare_routes(study, blocks)
    shapes = {name: found for name, block in blocks.items() if (found := shape(study, name, block)) is not None}
    differences = {name: contrasts(study, name, block) for name, block in blocks.items()}
    classic = {name: opposed(study, name, block) for name, block in blocks.items()}
    on_levels = levels(study)

    this.step("steering between classes")
    shown = tqdm(blocks.items(), desc="families", disable=None, leave=False)
    steered = {name: steer_family(study, name, block) for name, block in shown}

    this.step("drawing")
    this.output.figure("layers", layers_figure(sweeps))
    if routes:
        this.output.figure("routes", routes_figure(study, routes))
    if shapes:
        this.output.figure("shapes", shapes_figure(study, shapes, blocks))
    this.output.figure("contrasts", contrasts_figure(study, differences, blocks))
    this.output.figure("opposites", opposites_figure(study, classic, blocks))
    this.output.figure("levels", levels_figure(on_levels))
    this.output.figure("steering", steering_figure(steered))
    this.output.figure("pairs", pairs_figure(study, steered))
    this.output.figure("composed", composed_figure(steered))
    this.output.figure("transfer", transfer_figure(steered))
    this.output.text("completions.html", completions_page(study, steered))
    this.write_results(
        study.unembedding.summary(),
        {
            "families": {
                name: {
                    "classes": described(study, family),
                    "kind": family.kind,
                    "ordered": family.ordered,
                    "layers": {kind: sweep_summary(found) for kind, found in sweeps[name].items()},
                    "routes": routes_summary(family, routes[name]) if name in routes else None,
                    "shape": shapes[name].to_dict() if name in shapes else None,
                    "contrasts": {f"{one} - {two}": c.to_dict() for (one, two), c in differences[name].items()},
                    "opposites": {
                        contrast: dict(zip(names(family), some.cosines.tolist(), strict=True))
                        for contrast, some in classic[name].items()
                    },
                    "steering": steering_summary(steered[name]),
                }
                for name, family in study.families.items()
            },
            "levels": [result.to_dict() for result in on_levels],
        },
    )
    this.output.arrays("results", **arrays(sweeps, routes, steered))
    report(steered)


def described(study: Study, family: geo.concepts.Behaviour) -> dict[str, Any]:
    return {
        one.name: {"prompts": len(one.prompts), "words": list(study.words[geo.concepts.class_concept(family, one.name)].words)}
        for one in family.classes
    }


def sweep_summary(found: geo.probing.HeldOutSweep) -> dict[str, Any]:
    best = int(found.accuracy.argmax())
    return {
        "accuracy": found.accuracy.tolist(),
        "threshold": found.threshold,
        "first": found.first,
        "best": best,
        "at_best": found.found[best].to_dict(),
    }


def routes_summary(family: geo.concepts.Behaviour, found: Routes) -> dict[str, Any]:
    nulls = {"permuted": found.final.nulls, "shuffled": found.shuffled, "random_prompts": found.random_prompts}
    return {
        "mean_cosine": found.final.value,
        "classes": dict(zip(names(family), found.final.cosines.diagonal().tolist(), strict=True)),
        "by_block": found.by_block.tolist(),
        "nulls": {
            name: {
                "mean": float(values.mean()),
                "draws": len(values),
                "p_value": found.final.p_value if values.ndim == 1 else found.p_value(values),
            }
            for name, values in nulls.items()
        },
    }


def steering_summary(found: Steered) -> dict[str, Any]:
    lists = {
        "reached": found.reached,
        "written": found.written,
        "odds": found.odds,
        "family": found.family,
        "level": found.level,
        "transfer": found.transfer,
    }
    return {
        "block": found.block,
        "strength": found.strength,
        "pairs": [list(pair) for pair in found.pairs],
        "matrix": found.matrix.tolist(),
        "perplexity": found.perplexity,
        **{what: {way: geo.intervals.summarise(values) for way, values in by.items()} for what, by in lists.items()},
        "over_opposites": {what: geo.intervals.summarise(found.over_opposites(what)) for what in ("reached", "written", "odds")},
        "completions": found.completions,
    }


def arrays(
    sweeps: Mapping[str, Mapping[str, geo.probing.HeldOutSweep]], routes: Mapping[str, Routes], steered: Mapping[str, Steered]
) -> dict[str, NDArray[np.float64]]:
    """What the figures are drawn from."""
    found = {f"{name}/{kind}": some.accuracy for name, kinds in sweeps.items() for kind, some in kinds.items()}
    found |= {f"{name}/routes": some.final.cosines for name, some in routes.items()}
    found |= {f"{name}/matrix": some.matrix for name, some in steered.items()}
    return found | {
        f"{name}/{what}/{way}": values
        for name, some in steered.items()
        for what in ("reached", "written", "odds", "family", "level", "transfer")
        for way, values in getattr(some, what).items()
    }


if __name__ == "__main__":
    raise SystemExit(main())
