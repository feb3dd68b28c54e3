"""What a study is: its question, its options, its run. Imports no numerical library, so that `--help` is quick."""

import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from geometry.display import in_short
from geometry.errors import EstimationError, shown
from geometry.models.placement import DEVICE, DEVICE_SAYS, DTYPE, DTYPE_SAYS, DTYPES, Placement

if TYPE_CHECKING:
    from geometry.experiments.result import FigureSpec, StudyResult
    from geometry.experiments.session import Session

Result = TypeVar("Result", bound="StudyResult", covariant=True)


def silent(_: Any) -> None:
    """Say nothing of what is being done."""


class Step:
    """What a running study tells: what it is doing, and its figures as soon as their numbers are there.

    Attributes:
        say, show: what to do with either.
        shown: names of the figures that were told of.
        session: what the study shares with others of its run; default, a new one.
    """

    def __init__(
        self,
        say: Callable[[str], None] = silent,
        show: "Callable[[FigureSpec], None]" = silent,
        session: "Session | None" = None,
    ) -> None:
        from geometry.experiments.session import Session

        self.say, self.show = say, show
        self.shown: list[str] = []
        self.session = session or Session()

    def __call__(self, text: str) -> None:
        """Tell what is being done."""
        self.say(text)

    def figure(self, spec: "FigureSpec") -> None:
        """Tell of a figure that can be drawn."""
        self.show(spec)
        self.shown.append(spec.name)


def option(
    default: Any,
    says: str,
    *,
    least: int | None = None,
    choices: tuple[str, ...] = (),
    count: int | None = None,
    metavar: str = "",
) -> Any:
    """A field that is an option of the console too: default, help, the least number, the choices, how many values."""
    metadata = {"says": says, "least": least, "choices": choices, "count": count, "metavar": metavar}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Study(ABC, Generic[Result]):
    """A question with its settings; `run` answers it.

    The fields are the options: of the constructor, of `concept-geometry run`, and in results.json. A tuple takes
    several values.

    Attributes:
        name: of the study, its folder and its command.
        question: what it asks, in a sentence.
        quick: field → value for a first look.
        full: field → value for the numbers of a paper.
        whole_model: whether it runs the model itself, beyond its unembedding.
    """

    name: ClassVar[str]
    question: ClassVar[str]
    whole_model: ClassVar[bool] = False
    quick: ClassVar[Mapping[str, Any]] = {}
    full: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        cls.__repr__ = _said  # type: ignore[method-assign]  # here, or each dataclass would make its own of all options

    seed: int = option(0, "the only source of randomness", least=0)
    device: str = option(DEVICE, DEVICE_SAYS, metavar="DEVICE")
    dtype: str = option(DTYPE, DTYPE_SAYS, choices=DTYPES)

    def __post_init__(self) -> None:
        for setting in fields(self):
            value, least, choices = getattr(self, setting.name), *map(setting.metadata.get, ("least", "choices"))
            if isinstance(value, Path):
                object.__setattr__(self, setting.name, value := str(value))
            if least is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise EstimationError(f"{setting.name} must be a whole number of at least {least}, not {shown(value)}")
            if least is not None and value >= 2**31:  # seeds are added to, and 32 bits wide elsewhere
                raise EstimationError(f"{setting.name} must be below 2^31, not {shown(value)}")
            if choices and value not in choices:
                raise EstimationError(f"{setting.name} must be one of {', '.join(choices)}, not {shown(value)}")
            if isinstance(setting.default, str) and not isinstance(value, str):
                raise EstimationError(f"{setting.name} must be a name, not {shown(value)}")
            if isinstance(setting.default, tuple):
                several = (value,) if isinstance(value, str) else value
                if not isinstance(several, Sequence | set) or not all(isinstance(one, str | Path) for one in several):
                    raise EstimationError(f"{setting.name} must be names, not {shown(value)}")
                value = tuple(str(one) if isinstance(one, Path) else one for one in several)
                object.__setattr__(self, setting.name, value)
                if (count := setting.metadata.get("count")) and len(value) != count:
                    raise EstimationError(f"{setting.name} takes {count} values, not {len(value)}")
        object.__setattr__(self, "device", self.placement.device)  # results say what "auto" was

    @property
    def placement(self) -> Placement:
        """Where and in which precision to compute, checked."""
        return Placement(self.device, self.dtype)

    def run(self, step: Callable[[str], None] | Step = silent) -> Result:
        """Measure; `step` is told what is being done, and a `Step` of figures too.

        Raises GeometryError: bad input, before work starts where that can be known.
        """
        start = time.perf_counter()
        step = step if isinstance(step, Step) else Step(step)
        return replace(self.measure(step), seconds=time.perf_counter() - start)

    @abstractmethod
    def measure(self, step: Step) -> Result:
        """The method, in the order of a method section."""

    @property
    @abstractmethod
    def subject(self) -> tuple[str, ...]:
        """The model or models as they were given."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Where the results go unless told otherwise."""

    @property
    def settings(self) -> dict[str, Any]:
        """All options but the models."""
        return {some.name: getattr(self, some.name) for some in fields(self) if some.name not in ("model", "models")}

    @property
    def command(self) -> str:
        """What repeats the run in a terminal."""
        words = ["concept-geometry", "run", self.name, *self.subject]
        defaults = {some.name: some.default for some in fields(self)}
        for name, value in self.settings.items():
            if value != defaults[name]:
                words.append(f"--{name.replace('_', '-')}")
                words += [] if value is True else map(str, value if isinstance(value, tuple) else [value])
        return shlex.join(words)


def _said(self: Any) -> str:
    """The models, and the options that are not the default: as one would write it."""
    given = [(each.name, getattr(self, each.name)) for each in fields(self) if getattr(self, each.name) != each.default]
    return in_short(f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given)})")


@dataclass(frozen=True, kw_only=True)
class ModelStudy(Study[Result]):
    """A study of one model."""

    model: str = option("smollm2-135m", "packaged name, hub id, folder, .safetensors or .gguf file")

    @property
    def subject(self) -> tuple[str, ...]:
        """The model as it was given."""
        return (self.model,)

    @property
    def folder(self) -> Path:
        """figures/<model>/<study>."""
        from geometry.models import display_name

        return Path("figures") / display_name(self.model).replace("/", "--") / self.name
