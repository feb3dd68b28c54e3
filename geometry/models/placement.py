"""Where numbers are computed and in which precision: two options of every study and command, checked here alone.

Imports torch only to look at a device other than the CPU, so that `--help` is quick.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geometry.display import in_short
from geometry.errors import EstimationError, shown

if TYPE_CHECKING:
    import torch

DEVICE, DTYPE = "cpu", "mixed"
DTYPES = (DTYPE, "float64", "float32", "bfloat16", "float16")
DEVICE_SAYS = "cpu, cuda, cuda:1, mps, or auto: cuda where there is one, else mps for float32, else cpu"
DTYPE_SAYS = (
    "of the space and the language model: mixed is float64 for the space and float32 for the model; float64 or float32"
    " is of both; bfloat16 or float16 is of the model, the space staying in float64"
)


@dataclass(frozen=True)
class Placement:
    """A device and a precision, checked, and what each step is to be told of them.

    >>> place = Placement(dtype="bfloat16")
    >>> place.of_space, place.of_model
    ({'device': 'cpu', 'dtype': torch.float64}, {'device': 'cpu', 'dtype': torch.bfloat16})

    Parameters:
        device: as of `checked_device`.
        dtype: one of `DTYPES`. The unembedding itself stays in the precision that it is stored in; Σ and its roots need
            float32 at least, so that half precision is of the language model alone.

    EstimationError: no such device here or no such precision, or float64 on mps, which has none.
    """

    device: str = DEVICE
    dtype: str = DTYPE

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise EstimationError(f"dtype must be one of {', '.join(DTYPES)}, not {shown(self.dtype)}")
        object.__setattr__(self, "device", checked_device(self.device, mps=self.dtype == "float32"))
        if self.device.startswith("mps") and self.dtype != "float32":
            raise EstimationError(f"device {shown(self.device)} has no float64, which the space is in: take float32")

    @property
    def of_unembedding(self) -> dict[str, Any]:
        """What `Unembedding.load` is to be told."""
        return {"device": self.device}

    @property
    def of_space(self) -> dict[str, Any]:
        """What `CausalSpace.fit` is to be told."""
        return {"device": self.device, "dtype": self._dtype("float32" if self.dtype == "float32" else "float64")}

    @property
    def of_model(self) -> dict[str, Any]:
        """What `load_model` is to be told."""
        return {"device": self.device, "dtype": self._dtype("float32" if self.dtype == DTYPE else self.dtype)}

    @property
    def of_fits(self) -> "torch.dtype":
        """Precision of the many fits of a comparison, which half the memory is worth more to than digits."""
        return self._dtype("float64" if self.dtype == "float64" else "float32")

    @staticmethod
    def _dtype(name: str) -> "torch.dtype":
        import torch

        dtype: torch.dtype = getattr(torch, name)
        return dtype


def checked_device(device: "torch.device | str", *, mps: bool = True) -> str:
    """The name of a device that numbers can be computed on here; "auto" is cuda, else mps if it will do, else cpu.

    EstimationError: no device, one that is not here, or "meta", which holds no numbers.
    """
    name = str(device)
    if name == DEVICE:
        return name
    import torch

    if name == "auto":
        found = {"cuda": torch.cuda.is_available(), "mps": mps and torch.backends.mps.is_available()}
        return next((each for each, there in found.items() if there), DEVICE)
    try:
        if (torch.empty(1, device=name) + 0).is_meta:
            raise EstimationError(f"device {shown(name)} cannot be computed on: it holds no numbers; take cpu or cuda")
    # torch's own words for what it was not built for, which come in several kinds.
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        # Of a word that is no device torch lists all of those that it could be built for.
        why = "it is no device" if "Expected one of" in str(error) else in_short(str(error))
        raise EstimationError(f"device {shown(name)} cannot be computed on: {why}; take cpu or auto") from error
    return name
