"""Speed and memory of what this package computes, against the textbook way, side by side in one run.

    python -m analysis.benchmark [MODEL] [--every N] [--rounds N] [--device D] [--dtype T]

Ratios are the result: both sides run in turn on the same machine, model and tokens. Writes nothing but a table.
"""

import sys

import geometry as geo


def main(arguments: list[str] | None = None) -> int:
    parser = geo.cli.OneLineParser(prog="python -m analysis.benchmark", description=__doc__)
    parser.add_argument("model", nargs="?", default="smollm2-135m", metavar="MODEL", help="(default: smollm2-135m)")
    parser.add_argument("--every", type=int, default=8, metavar="N", help="textbook on every N-th concept (default: 8)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of generation (default: 5)")
    geo.cli.add_placement(parser)
    options = parser.parse_args(arguments)
    if min(options.every, options.rounds) < 1:
        parser.error("--every and --rounds are whole numbers of at least 1")

    def step(text: str) -> None:
        print(text, file=sys.stderr)

    return geo.cli.one_line(
        lambda: print(
            geo.experiments.run_benchmark(
                options.model,
                every=options.every,
                rounds=options.rounds,
                place=geo.cli.placement_of(options),
                step=step,
            )
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
