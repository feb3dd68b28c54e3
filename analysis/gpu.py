"""What does a GPU make of it, within minutes on one card?

    python -m analysis.gpu [MODEL] [--parts PART ...] [--minutes N] [--device D] [--quick] [--out DIR]

1. overhead: steered generation against unsteered and against a plain hook that adds a tensor, 1, 8 and 64 prompts.
2. head-2048, head-8192: synthetic heads of 256,000 x 2,048 and 128,256 x 8,192 in bfloat16, made on the device: seconds
   of the fit, of all concept vectors and of a permutation of all claims, and TFLOP/s beside those of a bare product.
3. claims, steering, maps: seconds of these studies of the model.

Prints every number as soon as it is there, and writes figures/gpu/results.json after every part, so that a run that is
cut off keeps what it has. A part for which the time will not do is not begun; one that fails does not stop the others.
With --device cpu --quick the same code runs on tiny heads, and says nothing of speed.
"""

import argparse

import geometry as geo


def main(arguments: list[str] | None = None) -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = geo.cli.OneLineParser(prog="python -m analysis.gpu", description=__doc__, formatter_class=raw)
    parser.add_argument("model", nargs="?", default="smollm2-135m", metavar="MODEL", help="(default: smollm2-135m)")
    every = geo.experiments.GPU_PARTS
    parser.add_argument("--parts", nargs="+", choices=every, default=every, metavar="PART", help=", ".join(every))
    parser.add_argument("--minutes", type=float, default=15.0, metavar="N", help="that there are (default: 15)")
    parser.add_argument("--device", default="cuda", metavar="DEVICE", help="(default: cuda)")
    parser.add_argument("--quick", action="store_true", help="tiny heads and a first look at the studies")
    parser.add_argument("--out", default="figures/gpu", metavar="DIR", help="where to write (default: figures/gpu)")
    options = parser.parse_args(arguments)
    if not 0 < options.minutes < 1e6:
        parser.error("--minutes is a number above 0")
    return geo.cli.one_line(
        lambda: geo.experiments.run_gpu_benchmark(
            options.out,
            options.model,
            parts=options.parts,
            device=options.device,
            quick=options.quick,
            minutes=options.minutes,
            say=lambda line: print(line, flush=True),
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
