"""The figures of the study of tuning: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.experiments.result import FigureSpec
from geometry.experiments.tuning.against_grid import GRID, RANDOM, SHARPENED, TUNED, UNSTEERED, TunedConcept
from geometry.experiments.tuning.forecasts import AFTER_NORM, ALL, BEHAVIOURS, GEOMETRY, WORDS
from geometry.intervals import interval_of, mean_of
from geometry.tuning.features import FEATURES
from geometry.tuning.search import STRENGTHS, front

if TYPE_CHECKING:
    from geometry.experiments.tuning.result import TuningResult

_MOST_NATS = 4.0  # times the bound, beyond which costs are not drawn


def figures(result: "TuningResult") -> list[FigureSpec]:
    """All of them."""
    forecast = [what_geometry_predicts(result), forecasts(result)] if result.forecasts else []
    return [against_grid(result), pareto(result), *forecast, strengths(result)]


def against_grid(result: "TuningResult") -> FigureSpec:
    """P(words) of every concept by both ways, their ratio, and the forward passes."""
    probabilities, ratios = [], []
    for one in result.tuned:
        estimates = {
            name: plots.Estimate(float(one.reported[kind].mean()), *result.interval(one, kind))
            for name, kind in (("tuned", TUNED), ("exhaustive grid", GRID), ("grid, at the bound", SHARPENED))
        }
        nulls = {
            "unsteered": plots.NullMark(float(one.reported[UNSTEERED].mean())),
            "random direction, same site and bound": plots.NullMark(float(one.reported[RANDOM].mean()), "x"),
        }
        probabilities.append(plots.ForestRow(estimates, nulls))
        texts = [str(one.tuned.site), str(one.grid.site), f"{one.tuned.passes:,} of {one.tuned.exhaustive_passes:,}"]
        ratio = {
            name: plots.Estimate(one.ratio(kind), *one.ratio_interval(kind))
            for name, kind in (("exhaustive grid", GRID), ("grid, at the bound", SHARPENED))
        }
        ratios.append(plots.ForestRow(ratio, texts={"tuned": texts}))
    median, low, high = result.median_ratio()
    sharp, *ends = result.median_ratio(SHARPENED)
    panels = [
        plots.ForestPanel("P(concept's words)", probabilities, log=True),
        plots.ForestPanel("P tuned over P of the grid", ratios, references={1.0: "equal", 0.9: ""}),
    ]
    return FigureSpec(
        "tuned_against_grid",
        f"Tuning brings {median:.2g} times the exhaustive grid's effect [{low:.2g}, {high:.2g}] at"
        f" {result.passes_fraction:.1%} of its passes, {sharp:.2f} times [{ends[0]:.2f}, {ends[1]:.2f}] that of the"
        " grid brought to the bound",
        f"Means and 95% intervals over {len(result.reporting)} prompts on which nothing was chosen; bound"
        f" {result.study.bound:g} nats of KL on {len(result.choosing)} others. Grid: {_every(result)} at"
        f" {len(STRENGTHS)} strengths; at the bound: its best sites brought to the bound by further passes, so that"
        " only the choice of the site differs. Title: medians over concepts. Dotted: 0.9 and 1. Grey: unsteered, and a"
        " random direction at the tuned site and bound. Right: where, and prompts run through the model.",
        partial(
            plots.forest, panels, [short_name(one.name) for one in result.tuned],
            columns=["tuned at", "grid at", "passes"],
        ),
    )  # fmt: skip


def example(result: "TuningResult") -> TunedConcept:
    """The concept of median ratio."""
    return sorted(result.tuned, key=lambda one: one.ratio())[len(result.tuned) // 2]


def pareto(result: "TuningResult") -> FigureSpec:
    """P(words) against KL of all sites and strengths of one concept, and what tuning tried."""
    one = example(result)
    most = _MOST_NATS * result.study.bound
    every = [(t.cost, t.effect) for t in one.grid_trials if 1e-3 <= t.cost <= most]
    chosen = one.tuned.chosen
    tried = [(t.cost, t.effect) for t in one.tuned.trials if 1e-3 <= t.cost <= most and t is not chosen]
    among = [trial for trial in front([*one.grid_trials, *one.tuned.trials]) if trial is not chosen]
    best = [(t.cost, t.effect) for t in among if 1e-3 <= t.cost <= most]
    panel = plots.ScatterPanel(
        "KL(steered ‖ unsteered) on prompts to choose on, nats",
        f"P({short_name(one.name)})",
        {
            "tried in tuning": np.array(tried).reshape(-1, 2),
            "Pareto front": np.array(best).reshape(-1, 2),
            "chosen": np.array([(chosen.cost, chosen.effect)]),
        },
        nulls={f"grid, {_every(result)} at {len(STRENGTHS)} strengths": np.array(every).reshape(-1, 2)},
        lines=[(np.inf, result.study.bound, "bound"), (0.0, float(one.tuned.unsteered.mean()), "unsteered")],
        log="xy",
    )
    grid, gain = one.grid, chosen.effect / one.grid.effect
    found = f"P {chosen.effect:.2g} for {chosen.cost:.2f} nats"
    return FigureSpec(
        "pareto",
        f"{short_name(one.name).capitalize()}: of {len(one.tuned.trials)} trials the chosen one, at {chosen.site}, has"
        f" {found}, {gain:.2g} times the best of {len(one.grid_trials)} on the grid within the bound",
        f"A point is a site at a strength, means over the {len(result.choosing)} prompts to choose on (on the others"
        f" the ratio is {one.ratio():.2g}); shown are 0.001 to {most:g} nats."
        " Pareto front, of grid and tuning: no other point has more effect for less. The concept is the one of median"
        f" ratio to the grid (whose own choice, {grid.site} at {grid.strength:g} × residual norm, costs"
        f" {grid.cost:.2f} nats).",
        partial(plots.scatter, [panel], ncols=1),
    )


def what_geometry_predicts(result: "TuningResult") -> FigureSpec:
    """Forecast against measured, held out, for every part."""
    panels = []
    for part, sets in result.forecasts.items():
        forecast = sets[ALL]
        r2, ends = forecast.r2, forecast.intervals["r2"]
        panels.append(
            plots.ScatterPanel(
                "forecast",
                f"measured, {'nats a token' if part == BEHAVIOURS else 'nats'}",
                {"held-out concept or class": np.column_stack([forecast.held_out, forecast.effects])},
                title=part,
                lines=[(1.0, 0.0, "forecast = measured")],
                note=f"{result.sites[part]}, n = {len(forecast.effects)}; R² {r2:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]",
            )
        )
    return FigureSpec(
        "what_geometry_predicts",
        _forecast_by_all(result),
        f"Each point was forecast from all features ({', '.join(FEATURES)}) by ridge regressions fitted to other"
        f" families, which share no word with it. Effects at {result.study.bound:g} nats of KL: rise of the log-odds of"
        " the concept's words; of a class, by how much its held-out sentences gain over those of other classes."
        " Brackets: 95%, bootstrap over families.",
        partial(plots.scatter, panels, ncols=min(3, len(panels)), share=False),
    )


def _forecast_by_all(result: "TuningResult") -> str:
    """What all features do, beside geometry alone."""
    every = ", ".join(f"{sets[ALL].r2:.2f} ({part})" for part, sets in result.forecasts.items())
    alone = ", ".join(f"{sets[GEOMETRY].r2:.2f}" for sets in result.forecasts.values())
    return f"All features together forecast held-out effects with R² {every}; geometry alone with {alone}"


def verdict(result: "TuningResult") -> str:
    """What forecasts what, in a sentence with its numbers."""
    told, numbers = {}, {}
    for name in (GEOMETRY, WORDS):
        told[name] = [part for part, sets in result.forecasts.items() if sets[name].predictive]
        numbers[name] = f"(R² {', '.join(f'{sets[name].r2:.2f}' for sets in result.forecasts.values())})"
    where, words = _listed(told[GEOMETRY]), _listed(told[WORDS])
    found = f"forecasts what steering brings {where}" if where else "does not forecast what steering brings"
    beside = f"do, {words}" if words else "do not"
    return f"Geometry alone {found} {numbers[GEOMETRY]}; the words' number and probability {beside} {numbers[WORDS]}"


def forecasts(result: "TuningResult") -> FigureSpec:
    """How well each set of features forecasts each part, beside permuted effects."""
    names: list[str] = []
    r2: list[plots.ForestRow] = []
    rho: list[plots.ForestRow] = []
    for part, sets in result.forecasts.items():
        names.append(part if part == AFTER_NORM else f"{part}, {result.sites[part]}")
        for rows, key, nulls in ((r2, "r2", "nulls"), (rho, "rho", "rho_nulls")):
            marks = getattr(sets[ALL], nulls)
            null = plots.NullMark(float(marks.mean()), "|", *map(float, np.quantile(marks, [0.025, 0.975])))
            rows.append(
                plots.ForestRow(
                    {name: plots.Estimate(getattr(one, key), *one.intervals[key]) for name, one in sets.items()},
                    {"permuted effects, all features": null},
                    {name: [f"{one.p:.2g}"] for name, one in sets.items()} if key == "rho" else {},
                )
            )
    panels = [
        plots.ForestPanel("R² on held-out families", r2, references={0.0: "no better than the mean"}, limits=(-1, 1)),
        plots.ForestPanel("Spearman's ρ on held-out families", rho, references={0.0: ""}, limits=(-1, 1)),
    ]
    return FigureSpec(
        "forecasts",
        verdict(result),
        f"Geometry: {', '.join(FEATURES[:4])}. Estimates with 95% intervals, bootstrap over families; arrows: beyond"
        " the axis. R² of the title: in the order of the rows."
        f" Grey: 95% of {result.study.n_permutations} permutations of the effects; p is one-sided, of ρ.",
        partial(plots.forest, panels, names, columns=["p"]),
    )


def strengths(result: "TuningResult") -> FigureSpec:
    """The strength that the bound takes at every block, and what it brings there."""
    blocks = np.array(result.blocks) + 1
    first = np.array([one.strengths for one in result.tuned])
    second = np.array([one.levels for one in result.tuned])
    gains = second - np.array([[_level(one)] for one in result.tuned])
    gains = np.where(np.isfinite(gains), gains, np.nan)
    panels = []
    for label, values, log in (
        (f"strength at {result.study.bound:g} nats, × residual norm", first, "y"),
        ("rise of log-odds there, nats", gains, ""),
    ):
        mean = np.array([mean_of(values[:, column]) for column in range(len(blocks))])
        ends = np.array([interval_of(values[:, column]) for column in range(len(blocks))]).reshape(-1, 2)
        curve = plots.Curve(blocks, mean, low=ends[:, 0], high=ends[:, 1])
        references = {0.0: "unsteered"} if not log else {}
        panels.append(plots.CurvePanel("blocks passed", label, {"concepts": curve}, log=log, references=references))
    top = blocks[int(np.nanargmax(np.nanmean(gains, axis=0)))]
    span = np.exp(np.nanmean(np.log(first), axis=0))
    return FigureSpec(
        "strengths",
        f"For the same KL the strength varies {span.max() / span.min():.2g}-fold over blocks; the effect is largest"
        f" after {top} of {result.depth} blocks",
        f"Means and 95% intervals over {len(result.tuned)} concepts, bootstrap. Dotted: unsteered. Interpolated between"
        " the strengths of the exhaustive grid; vectors pulled back from the output through the final norm.",
        partial(plots.curves, panels, ncols=2),
    )


def _every(result: "TuningResult") -> str:
    every = result.study.every
    return "every block" if every == 1 else f"one block in {every}"


def _level(one: TunedConcept) -> float:
    p = float(one.tuned.unsteered.mean())
    return float(np.log(p / (1 - p)))


def _listed(names: list[str]) -> str:
    said = ["of behaviours" if name == BEHAVIOURS else name for name in names]
    return " and ".join([", ".join(said[:-1])] * (len(said) > 1) + said[-1:])
