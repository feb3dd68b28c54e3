"""The figures, the page and the table of the steering analysis: words and layout, no measurement."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import geometry as geo
from analysis.steering_study import Study
from geometry import plots

CONTROLS = ("none", "parent_long", "other_parent_child", "random", "random_residual")
Found = Mapping[str, Mapping[str, Any]]
Arrays = Mapping[str, NDArray[np.float64]]


def short(name: str) -> str:
    """A synset as a reader says it."""
    return name.split(".")[0].replace("_", " ")


def labels(study: Study, chosen: Mapping[str, Any]) -> dict[str, str]:
    """What figures call the conditions."""
    parent, child, other = short(study.parent), short(study.child), short(study.other)
    contrast = f"({child} − {parent})"
    grandparent = [short(name) for name in study.concepts.chain(study.parent)[-2:-1]]
    strongest = f"… at block {chosen['block_strongest'][0]}, {chosen['block_strongest'][1]:g}×"
    return {
        "none": "nothing",
        "parent": parent,
        "parent_long": f"{parent}, long as the sum",
        "child": contrast,
        "parent_child": f"{parent} + {contrast}",
        "before_norm": "… before the norm",
        "block": f"… at block {chosen['block'][0]}, {chosen['block'][1]:g}×",
        **({} if chosen["block_strongest"] == chosen["block"] else {"block_strongest": strongest}),
        "own": f"{child}'s own vector",
        "grandparent_parent_child": " + ".join([*grandparent, "…", contrast]),
        "other_parent_child": f"{other} + {contrast}",
        "random": "random direction",
        "random_residual": "random, equal norm",
    }


def conditions_figure(
    study: Study, effects: Mapping[str, geo.steering.Effect], found: Found, chosen: Mapping[str, Any]
) -> plots.Figure:
    parent, child = short(study.parent), short(study.child)
    panels = {f"P({short(name)})": name for name in study.names}
    rows = [
        plots.Condition(
            label,
            {panel: effects[name].probability[concept] for panel, concept in panels.items()},
            name in CONTROLS,
            [
                f"{found['child_on_top'][name]:.0%}",
                f"{found['excess_divergence'][name]:.1f}",
                f"{found['perplexity'][name]:.3g}",
            ],
        )
        for name, label in labels(study, chosen).items()
        if name in effects
    ]
    top, p = found["child_on_top"], found["probability"]
    does = top["parent_child"] > 0.5 and found["p_value"]["random"] <= 0.05
    finding = (
        f"{parent} + ({child} − {parent}) puts a {child} word on top of {top['parent_child']:.0%} of prompts"
        f" (unsteered {top['none']:.0%}, random vectors {top['random']:.0%})"
    )
    finding += "" if does else ": no evidence that composing steers"
    gain = p["own"][study.child] - p["parent_child"][study.child]
    finding += f", {'no better than' if gain >= -0.02 else 'better than'} the {child} vector itself"
    detail = (
        "Added after the final norm at the last token, unless the row says otherwise (×: times the stream's norm);"
        f" coefficient {chosen['coefficient']:g} and blocks chosen on {found['prompts']['choosing']} other prompts."
        f" Points: {found['prompts']['reported']} prompts (random: × draws). Excess: nats of KL beyond what the"
        f" change of P({child}) takes. Perplexity: of neutral texts, steered throughout. Grey: controls."
    )
    return plots.plot_conditions(
        rows, list(panels), [f"{child}\non top", "excess\nnats", "perplex-\nity"], finding=finding, detail=detail
    )


def words_figure(study: Study, effects: Mapping[str, geo.steering.Effect], nonsense: Arrays) -> plots.Figure:
    child = study.child
    panels = {"fitted": "words fitted to", "held_out": "words never seen", "published": "recipe's plain set"}
    named = {
        "none": "nothing",
        "parent_child": f"{short(study.parent)} + ({short(child)} − {short(study.parent)})",
        "own": f"{short(child)}'s own vector",
        "random": "random direction",
    }
    rows = [
        plots.Condition(
            label,
            {panel: effects[name].probability[f"{child} {kind}"] for kind, panel in panels.items()},
            name not in ("parent_child", "own"),
        )
        for name, label in named.items()
    ]
    rows += [
        plots.Condition(label, {panels[kind]: nonsense[kind + ending] for kind in ("fitted", "held_out")}, True)
        for ending, label in (("_unsteered", "nonsense words, unsteered"), ("", "nonsense words, own vector"))
    ]
    composed = effects["parent_child"].probability
    seen, unseen = (float(composed[f"{child} {kind}"].mean()) for kind in ("fitted", "held_out"))
    before = float(effects["none"].probability[f"{child} held_out"].mean())
    null = float(nonsense["held_out"].mean() - nonsense["held_out_unsteered"].mean())
    real = unseen - before > max(0.05, 2 * null)
    sizes = {kind: len(study.words[f"{child} {kind}"]) for kind in panels}
    return plots.plot_conditions(
        rows,
        list(panels.values()),
        [],
        finding=f"P({short(child)}) rises on words that the vector never saw too: {before:.3f} to {unseen:.2f}"
        if real
        else f"P({short(child)}) rises on words fitted ({seen:.2f}), hardly on others ({before:.3f} to {unseen:.2f})",
        detail=f"{sizes['fitted']} tokens fitted, {sizes['held_out']} not (held-out lemmas, and the concept's own name"
        f" where the recipe leaves it out), {sizes['published']} in the recipe's set. Nonsense: the same composition"
        f" for as many random words; unseen ones of the same set change by {null:+.3f}.",
    )


def coefficients_figure(
    study: Study,
    curves: Mapping[str, Arrays],
    coefficients: Sequence[float],
    chosen: Mapping[str, Any],
    found: Found,
) -> plots.Figure:
    named = {name: label for name, label in labels(study, chosen).items() if name in curves}
    x = np.array(coefficients)
    parent, child = short(study.parent), short(study.child)
    unsteered, price = found["probability"]["none"], found["perplexity"]["none"]

    def against(quantity: str) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        return {
            label: (x, curves[name][quantity])
            for name, label in named.items()
            if np.isfinite(curves[name][quantity]).any()
        }

    def panel(title: str, quantity: str, axis: str, level: float, log: str) -> plots.Curves:
        return plots.Curves(title, "coefficient", axis, against(quantity), (level, "unsteered"), log)

    cost = {label: (curves[name]["excess"], curves[name]["child"]) for name, label in named.items()}
    panels = [
        panel(f"Probability of {child} words", "child", f"P({child})", unsteered[study.child], "x"),
        panel(f"Probability of {parent} words", "parent", f"P({parent})", unsteered[study.parent], "x"),
        panel("Perplexity of neutral texts steered throughout", "perplexity", "perplexity", price, "xy"),
        plots.Curves("What a probability costs", f"excess nats beyond what P({child}) takes", f"P({child})", cost),
    ]
    at = list(coefficients).index(chosen["coefficient"])
    worst = curves["parent_child"]["perplexity"]
    return plots.plot_curves(
        panels,
        controls=[named["random"]],
        finding=f"Small coefficients compose, large ones destroy: at {chosen['coefficient']:g} P({child}) is"
        f" {curves['parent_child']['child'][at]:.2f} and perplexity {worst[at] / price:.0f} times the unsteered,"
        f" at {coefficients[-1]:g} it is {worst[-1] / price:.0e} times",
        detail="Added after the final norm; probabilities at the last token, means over"
        f" {found['prompts']['reported']} prompts. Own and random vectors are as long as the sum of parent and child.",
    )


def blocks_figure(
    study: Study,
    maps: Arrays,
    strengths: Sequence[float],
    priced: Sequence[float],
    chosen: Mapping[str, Any],
    found: Found,
) -> plots.Figure:
    depth = len(maps["child"])
    swept, some = (np.flatnonzero(np.isfinite(maps[kind]).any(axis=1)) for kind in ("child", "perplexity"))
    maps = {**maps} | {kind: maps[kind][swept] for kind in ("parent", "child", "random", "excess")}
    rows, columns = [str(block) for block in swept], [f"{strength:g}" for strength in strengths]
    fewer = [f"{strength:g}" for strength in priced]
    block, strength = chosen["block"]
    cell = (swept.tolist().index(block), list(strengths).index(strength))
    parent, child = short(study.parent), short(study.child)
    panels = [
        plots.Sweep(f"P({parent})", maps["parent"], rows, columns, (0, 1), chosen=cell),
        plots.Sweep(f"P({child})", maps["child"], rows, columns, (0, 1), chosen=cell),
        plots.Sweep(f"P({child}), random", maps["random"], rows, fewer, (0, 1)),
        plots.Sweep("excess nats", maps["excess"], rows, columns, (0, 8), chosen=cell),
        plots.Sweep(
            "perplexity",
            maps["perplexity"][some],
            [str(block) for block in some],
            fewer,
            (10.0, 1e6),
            log=True,
        ),
    ]
    reached, top = found["probability"], found["child_on_top"]
    first = swept[swept < depth // 2]
    early = float(maps["child"][: len(first)].max(initial=0))
    where = "the last blocks alone" if len(first) and early < 0.25 else "early blocks too" if len(first) else "a block"
    which = f"0 to {first[-1]}" if len(first) == depth // 2 > 1 else ", ".join(map(str, first))
    strong = chosen["block_strongest"]
    most = (
        ""
        if strong == chosen["block"]
        else f"; block {strong[0]} reaches {reached['block_strongest'][study.child]:.2f}"
    )
    before = f"; block{'s' * (len(first) > 1)} {which} {early:.2f} at most" if len(first) else ""
    return plots.plot_sweep(
        panels,
        row_axis="output of block",
        column_axis="× stream's norm",
        finding=f"Composition steers in {where}: block {block}"
        f" puts a {child} word on top of {top['block']:.0%} of other prompts, P({child}) ="
        f" {reached['block'][study.child]:.2f}{most}{before}",
        detail=f"The sum of parent and child divided by the final norm's weight, at the last token of"
        f" {found['prompts']['choosing']} prompts; perplexity with every token but the first steered. Box: the least"
        f" distortion that puts a {child} word on top of three quarters of these prompts.",
    )


def completions_page(study: Study, written: Mapping[str, Mapping[str, str]], chosen: Mapping[str, Any]) -> str:
    named = labels(study, chosen)
    coefficient = chosen["coefficient"]
    block, strength = chosen["block"]
    composed = named["parent_child"]
    last = "at the prompt's last token"
    columns = [
        {
            "none": ("nothing", "", True),
            "block": (composed, f"output of block {block}, {last}, {strength:g} times the stream's norm", False),
            "own": (named["own"], f"{last}, as long as the sum", False),
            "random": (named["random"], f"{last}, as long as the sum", True),
            "everywhere": (composed, f"at every token, coefficient {coefficient / 2:g}", False),
        }.get(name, (named.get(name, name), f"{last}, coefficient {coefficient:g}", name in CONTROLS))
        for name in next(iter(written.values()))
    ]
    vocabulary = study.concepts.space.unembedding.vocabulary
    return plots.texts_page(
        f"{study.concepts.space.unembedding.name}: completions under steering",
        f"Sampled with temperature 0.7, top-p 0.9, frequency penalty 1, seed {study.seed}, unpicked."
        f" Words of {study.parent} are marked, whatever they mean where they stand.",
        [plots.TextTable("", columns, [(prompt, list(by.values())) for prompt, by in written.items()])],
        marked=[vocabulary.text(int(token)).strip() for token in study.words[study.parent]],
    )


def report(
    study: Study, effects: Mapping[str, geo.steering.Effect], found: Found, written: Mapping[str, Mapping[str, str]]
) -> None:
    """The table of means and the first completions, for the terminal."""
    width = max(map(len, effects)) + 2
    heads = [f"P({short(name)})" for name in study.names]
    print(" " * width + "".join(f"{head:>12}" for head in [*heads, "on top", "excess", "perplexity"]))
    for name in effects:
        cells = [f"{found['probability'][name][concept]:.3f}" for concept in study.names]
        cells += [f"{found['child_on_top'][name]:.0%}", f"{found['excess_divergence'][name]:.2f}"]
        cells.append(f"{found['perplexity'][name]:.4g}")
        print(f"{name:<{width}}" + "".join(f"{cell:>12}" for cell in cells))
    for prompt, by in list(written.items())[:3]:
        print(f"\n{prompt} …")
        for name, text in by.items():
            print(f"  {name:<{width}}{' '.join(text.split())}")
    print()
