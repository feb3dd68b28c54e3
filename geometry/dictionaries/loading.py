"""Find out what kind of sparse autoencoder a folder holds, on this machine or on a hub, and read it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from geometry.arguments import checked
from geometry.dictionaries import gemma_scope_format, llama_scope_format, saelens_format, sparsify_format
from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.reading import Given
from geometry.dictionaries.tensor_file import PICKLED
from geometry.errors import ModelError, shown
from geometry.models.hub import is_hub_id
from geometry.models.hub_caches import COMMIT
from geometry.models.hub_files import download_files
from geometry.steering.vector import Site, SiteLike


class _Format(NamedTuple):
    """The files that a folder of this kind has, those that it may have (`..` is the folder above), and its reader."""

    needed: tuple[str, ...]
    further: tuple[str, ...]
    read: Callable[[Path, Given], FeatureDictionary]


_CHECKPOINT = f"{llama_scope_format.CHECKPOINTS}/final.safetensors"
_PRUNED = f"{llama_scope_format.CHECKPOINTS}/pruned.safetensors"
_FORMATS = (
    _Format((saelens_format.CONFIG, saelens_format.WEIGHTS), (), saelens_format.read),
    _Format((sparsify_format.CONFIG, sparsify_format.WEIGHTS), (f"../{sparsify_format.RUN}",), sparsify_format.read),
    _Format((gemma_scope_format.ARCHIVE,), (gemma_scope_format.CONFIG,), gemma_scope_format.read),
    _Format((gemma_scope_format.TENSORS,), (gemma_scope_format.CONFIG,), gemma_scope_format.read),
    _Format(
        (llama_scope_format.HYPERPARAMETERS, _CHECKPOINT), (llama_scope_format.MODEL, _PRUNED), llama_scope_format.read
    ),
    _Format(
        (llama_scope_format.CONFIG, llama_scope_format.WEIGHTS), (llama_scope_format.MODEL,), llama_scope_format.read
    ),
)
_KINDS = "SAELens, Gemma Scope, Llama Scope and sparsify"


@checked
def load_dictionary(
    source: str | Path,
    folder: str = "",
    *,
    site: SiteLike | None = None,
    model: str | None = None,
    norm_scale: float | None = None,
    centred: bool | None = None,
) -> FeatureDictionary:
    """A published sparse autoencoder, or one of `train_dictionary`, from a folder or a hub.

    Example::

        load_dictionary = geo.dictionaries.load_dictionary
        dictionary = load_dictionary("google/gemma-scope-2b-pt-res", "layer_12/width_16k/average_l0_82")
        dictionary.encode(activations["output.12"])

    Folders of SAELens (of all its versions; architectures standard, gated, JumpReLU, TopK and Batch-TopK), Gemma Scope
    and Gemma Scope 2, Llama Scope, and sparsify are told by their files. Tensors are read from safetensors and NumPy
    archives; nothing is unpickled.

    Parameters:
        source: a folder, or a hub id ("owner/name", "owner/name@revision"), of which the files of that one dictionary
            are downloaded into the hub client's cache.
        folder: within it, such as "blocks.8.hook_resid_pre", "layers.8" or "layer_12/width_16k/average_l0_82".
        site, model: where it reads and of which model, where the files do not say; where they do, they are to agree.
        norm_scale: √d over the mean norm of activations, where they are to be scaled and the files do not say by how
            much.
        centred: of SAELens folders, whether the mean of each residual stream's coordinates was taken away, as
            TransformerLens does in models with LayerNorm unless told otherwise; where the files do not say.

    Raises ModelError: no such folder, a file that is not a sparse autoencoder, a pickled one, a transcoder, a formula
        that is not known, or another site or model than the caller's.
    Raises SteeringError: a site that is none.
    """
    place = None if site is None else Site.parse(site)
    name = f"{source}/{folder}".rstrip("/") if folder else str(source)
    path = _local(source, folder)
    if path is None:
        path = _from_hub(str(source), folder)
        read = _read(path, Given(name, name, place, model, norm_scale, centred))
        commit = next((part for part in reversed(path.parts) if COMMIT.fullmatch(part)), "")
        return replace(read, notes=(*read.notes, f"commit {commit}"))
    whole = path.parent.as_posix() if path.is_file() else path.as_posix()
    return _read(path, Given(name, whole, place, model, norm_scale, centred))


def _read(path: Path, given: Given) -> FeatureDictionary:
    if path.is_file():
        path = _folder_of(path)
    for kind in _FORMATS:
        if all((path / file).is_file() for file in kind.needed):
            return kind.read(path, given)
    if (path / llama_scope_format.HYPERPARAMETERS).is_file():
        return llama_scope_format.read(path, given)
    names = (
        {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()} if path.is_dir() else set()
    )
    raise ModelError(_says(given.name, names, ""))


def _local(source: str | Path, folder: str) -> Path | None:
    """The folder or file on this machine; None for what can only be a hub id."""
    try:
        path = Path(source).expanduser()
        if str(source).strip() and path.exists():
            if folder and not (path / folder).exists():
                raise ModelError(f"{path}: has no folder {shown(folder)}")
            return (path / folder).absolute() if folder else path.absolute()
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{shown(str(source))}: cannot be looked up: {error}") from error
    if Path(source).suffix.lower() in PICKLED:
        raise ModelError(f"{source}: no such file; and pickled weights are not read")
    if not is_hub_id(str(source)) or isinstance(source, Path):
        raise ModelError(f"{shown(str(source))}: no such folder, and no hub id (owner/name)")
    return None


def _folder_of(path: Path) -> Path:
    if path.suffix.lower() in PICKLED:
        raise ModelError(f"{path}: pickled weights are not read, as loading them runs code; convert to safetensors")
    known = {Path(name).name for kind in _FORMATS for name in kind.needed}
    if path.name not in known:
        raise ModelError(f"{path}: no file of a sparse autoencoder; name the folder of one of {_KINDS}")
    return path.parent.parent if path.parent.name == llama_scope_format.CHECKPOINTS else path.parent


def _from_hub(source: str, folder: str) -> Path:
    inner = folder.strip("/")
    if any(part in ("..", ".") for part in inner.split("/")) or "\\" in inner:
        raise ModelError(f"{source}: {shown(folder)} is no folder within a repository")

    def choose(names: set[str]) -> list[str]:
        for kind in _FORMATS:
            if all(_within(inner, file) in names for file in kind.needed):
                return [
                    file for file in (_within(inner, file) for file in (*kind.needed, *kind.further)) if file in names
                ]
        start = f"{inner}/" if inner else ""
        raise ModelError(_says(source, {name.removeprefix(start) for name in names if name.startswith(start)}, inner))

    return download_files(source, choose) / inner


def _within(inner: str, file: str) -> str:
    """The file's name in the repository."""
    parts = inner.split("/") if inner else []
    while file.startswith("../"):
        parts, file = parts[:-1], file.removeprefix("../")
    return "/".join([*parts, file])


def _says(source: str, names: set[str], inner: str) -> str:
    """Why nothing can be read there: folders that hold something, pickled files, or what is there instead."""
    where = f"{source}, folder {shown(inner)}" if inner else source
    held = sorted({_parent(name) for name in names for kind in _FORMATS if name.endswith(f"/{kind.needed[-1]}")})
    if held:
        shortened = ", ".join(held[:4]) + (f" and {len(held) - 4} more" if len(held) > 4 else "")
        return f"{where}: holds {len(held)} in folders of its own; name one: {shortened}"
    if pickled := sorted(name for name in names if Path(name).suffix.lower() in PICKLED):
        return (
            f"{where}: pickled weights ({pickled[0]}) are not read, as loading them runs code; convert to safetensors"
        )
    there = f"it holds {', '.join(sorted(names)[:6])}" if names else "there are no files"
    return f"{where}: no sparse autoencoder of {_KINDS}: {there}"


def _parent(name: str) -> str:
    parts = name.split("/")[:-1]
    return "/".join(parts[:-1] if parts[-1] == llama_scope_format.CHECKPOINTS else parts)
