"""`concept-geometry run` and `figures`: a study's fields as options, its run, its results in a folder."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geometry.cli.parser import OneLineParser, finite_number, folder, one_line, whole_number
from geometry.cli.placement import add_placement, placement_of
from geometry.errors import GeometryError, visible

if TYPE_CHECKING:
    from geometry.experiments import Study, StudyResult
    from geometry.experiments.session import Session


def script(
    study: "type[Study[Any]]",
    main: "Callable[[Any], StudyResult]",
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Drive an analysis script: options of the study from the command line, `main(study)`, its result into a folder.

    >>> raise SystemExit(script(ClaimsStudy, main, __doc__))  # doctest: +SKIP

    Returns the exit code: 0, or 2 with one line on standard error for bad input, before work starts where possible.
    """
    raw = argparse.RawDescriptionHelpFormatter
    parser = OneLineParser(prog=f"python -m analysis.{study.name}", description=description, formatter_class=raw)
    add_options(parser, study)
    options = parser.parse_args(arguments)
    return one_line(lambda: _into_folder(study_of(options, study), options.out, main))


def add_options(parser: argparse.ArgumentParser, study: "type[Study[Any]]") -> None:
    """A study's fields as options: those not given are absent, so that a quick run fills in its own."""
    for field in fields(study):
        says, choices = field.metadata["says"], field.metadata["choices"]
        several = isinstance(field.default, tuple)
        shown = " ".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
        said = f"{says} (default: {shown})".replace("%", "%%")
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": said}
        if field.name in ("model", "models"):
            parser.add_argument(field.name, nargs="*" if several else "?", metavar="MODEL", **options)
            continue
        if several:
            options["nargs"] = field.metadata["count"] or "+"
        if isinstance(field.default, bool):
            options["action"] = "store_true"
        else:
            types = {int: whole_number(field.metadata["least"]), float: finite_number}
            options["type"] = types.get(type(field.default), str)
            options |= {"choices": choices} if choices else {"metavar": field.metadata["metavar"] or "X"}
        parser.add_argument(f"--{field.name.replace('_', '-')}", **options)
    for preset, says in (("quick", "a first look"), ("full", "for a paper")):
        if settings := getattr(study, preset):
            said = ", ".join(f"{name.replace('_', '-')} {value}" for name, value in settings.items())
            parser.add_argument(f"--{preset}", action="store_true", help=f"{says}: {said}")
    parser.add_argument("--out", type=folder, metavar="DIR", help="where to write (default: figures/<model>/<study>)")


def study_of(options: argparse.Namespace, study: "type[Study[Any]]") -> "Study[Any]":
    """The study with the options that were given."""
    given = {field.name: getattr(options, field.name) for field in fields(study) if hasattr(options, field.name)}
    if not given.get("models", True):
        del given["models"]
    presets = [getattr(study, preset) for preset in ("quick", "full") if getattr(options, preset, False)]
    return study(**{name: value for settings in (*presets, given) for name, value in settings.items()})


def add_run(parser: argparse.ArgumentParser) -> None:
    """A command for every study."""
    from geometry.experiments import STUDIES

    commands = parser.add_subparsers(dest="study", required=True, metavar="STUDY", parser_class=OneLineParser)
    for name, study in STUDIES.items():
        add_options(commands.add_parser(name, help=study.question, description=study.question), study)


def run_run(options: argparse.Namespace) -> None:
    """Run one study; into a folder that was named, only where its results are not there already."""
    from geometry.experiments import STUDIES
    from geometry.experiments.study import ModelStudy

    study = study_of(options, STUDIES[options.study])
    session = None
    # Of a whole model more counts than what is known of it.
    if options.out is not None and isinstance(study, ModelStudy) and not study.whole_model:
        from geometry.experiments.finished import finished
        from geometry.experiments.session import Session

        if finished(study, options.out, session := Session()):
            print(visible(f"{options.out}: holds the results of this command already; remove it to run again"))
            return
    _into_folder(study, options.out, session=session)


def add_figures(parser: argparse.ArgumentParser) -> None:
    """The options of `figures`."""
    from geometry.experiments import STUDIES

    names = [name for name, study in STUDIES.items() if any(field.name == "model" for field in fields(study))]
    parser.add_argument("model", nargs="?", default="smollm2-135m", metavar="MODEL", help="(default: smollm2-135m)")
    parser.add_argument("--full", action="store_true", help="all permutations and blocks, behaviours and layers")
    parser.add_argument("--studies", nargs="+", choices=names, metavar="STUDY", help=f"some of {', '.join(names)}")
    parser.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="(default: 0)")
    add_placement(parser)


def run_figures(options: argparse.Namespace) -> None:
    """Run the studies of a model one after another, then write its page; one that fails does not stop the others.

    What they share is read and fitted once. Those that run the whole model come last, so that it is in memory for them
    alone. Of word vectors only those that need no language model are run, unless others are named.

    Raises GeometryError: a study failed: its own words, after all others are done.
    """
    from geometry.experiments import STUDIES
    from geometry.experiments.session import Session
    from geometry.models import display_name
    from geometry.models.locating import is_word_vectors
    from geometry.report import write_report

    place = placement_of(options)  # no device of that name is one line, not one a study
    given = {"model": options.model, "seed": options.seed, "device": place.device, "dtype": place.dtype}
    names = options.studies or ["claims", "steering", "maps", *(["behaviours", "layers"] if options.full else [])]
    if not options.studies and is_word_vectors(options.model):
        left = [name for name in names if STUDIES[name].whole_model]
        names = [name for name in names if name not in left]
        said = " and ".join(filter(None, [", ".join(left[:-1]), *left[-1:]]))
        print(f"{said} left out: word vectors have no language model behind them", file=sys.stderr)
    failed, session = [], Session()
    for name in sorted(names, key=lambda name: STUDIES[name].whole_model):
        preset: Any = STUDIES[name].full if options.full else STUDIES[name].quick
        try:
            _into_folder(STUDIES[name](**{**given, **preset}), None, session=session)
        except (GeometryError, OSError) as error:
            failed.append(f"{name}: {error}")
            print(f"{name}: left out: {visible(str(error))}", file=sys.stderr)
    del session
    if len(failed) < len(names):
        try:
            page = write_report(Path("figures") / display_name(options.model).replace("/", "--"))
            print(visible(f"{page}: written"))
        except (GeometryError, OSError) as error:
            failed.append(f"report: {error}")
    if failed:
        raise GeometryError("; ".join(failed))


def _into_folder(
    study: "Study[Any]",
    out: Path | None,
    main: "Callable[[Any], StudyResult] | None" = None,
    session: "Session | None" = None,
) -> None:
    """Run a study into a folder that is checked before work starts."""
    from geometry.experiments.study import Step
    from geometry.output import OutputFolder

    start, target = time.perf_counter(), study.folder if out is None else out

    def say(text: str) -> None:
        print(visible(f"[{time.perf_counter() - start:5.1f} s] {study.name}: {text}"), file=sys.stderr, flush=True)

    with OutputFolder(target) as output:
        step = Step(say, lambda spec: say(f"drawn: {output.figure(spec.name, spec.figure())}"), session)
        result = main(study) if main else study.run(step)
        step("drawing")
        result.write_to(output, step.shown)
    print(visible(f"{result}\n\n{target}: written in {time.perf_counter() - start:.0f} s"))
