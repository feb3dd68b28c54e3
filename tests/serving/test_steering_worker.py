"""What a server's hooks do, held to `geo.steer`, and on blocks that give the residual stream in two parts."""

import ast
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import geometry as geo
from geometry.serving import FOLDER, steering_worker
from tests.steering import tiny

SITES = ["input.0", "input.2", "output.1", "output.3", "output.1.relative", "before_norm", "after_norm"]
IDS = tiny.tokens(2, 6)


class SplitBlock(nn.Module):
    """As servers run a block: the residual stream is hidden + residual, added up within the next one's norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, hidden: torch.Tensor, residual: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        residual = hidden if residual is None else hidden + residual
        return torch.tanh(self.inner(residual)), residual


class SplitNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, width))

    def forward(self, hidden: torch.Tensor, residual: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        stream = hidden + residual
        return stream * stream.square().mean(dim=-1, keepdim=True).rsqrt() * self.weight, stream


class SplitModel(nn.Module):
    """Two such blocks; `streams` keeps what came out of each."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed_tokens = nn.Embedding(16, width)
        self.layers = nn.ModuleList([SplitBlock(width) for _ in range(2)])
        self.norm = SplitNorm(width)
        self.streams: list[torch.Tensor] = []

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.streams = []
        hidden, residual = self.embed_tokens(ids), None
        for layer in self.layers:
            hidden, residual = layer(hidden, residual)
            self.streams.append(hidden + residual)
        final, _ = self.norm(hidden, residual)
        return final


def worker(model: nn.Module) -> Any:
    made: Any = steering_worker.SteeringWorker()
    made.model_runner = SimpleNamespace(model=model)
    return made


def saved(folder: Path, vector: geo.SteeringVector) -> str:
    return str(geo.save_vector(vector, folder / "vector.safetensors"))


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_it_steers_as_the_package_does(name: str, site: str, tmp_path: Path) -> None:
    model = tiny.build(name)
    vector = geo.SteeringVector({site: torch.randn(tiny.WIDTH, generator=torch.Generator().manual_seed(1))})
    plain = model(IDS).logits
    with geo.steer(model, 1.5 * vector, positions="all"):
        wanted = model(IDS).logits
    server = worker(model)
    assert server.add_steering_vector(saved(tmp_path, vector), 1.5) == [site]
    torch.testing.assert_close(model(IDS).logits, wanted, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(plain, wanted)
    assert server.remove_steering_vectors() == 1
    assert torch.equal(model(IDS).logits, plain)
    assert tiny.hook_count(model) == 0


@pytest.mark.parametrize("relative", [False, True])
def test_the_stream_in_two_parts_moves_by_the_vector(relative: bool, tmp_path: Path) -> None:
    model, ids = SplitModel(), torch.tensor([3, 1, 4, 1, 5])
    model(ids)
    first = model.streams[0].clone()
    part = torch.linspace(-1, 1, 8)
    server = worker(nn.ModuleDict({"model": model}))
    server.add_steering_vector(saved(tmp_path, geo.SteeringVector({f"output.0{'.relative' * relative}": part})))
    model(ids)
    size = first.norm(dim=-1, keepdim=True) if relative else 1.0
    torch.testing.assert_close(model.streams[0], first + size * part)


def test_after_the_norm_the_stream_is_the_first_tensor_alone(tmp_path: Path) -> None:
    model, ids = SplitModel(), torch.tensor([3, 1, 4])
    plain, part = model(ids), torch.linspace(-1, 1, 8)
    worker(model).add_steering_vector(saved(tmp_path, geo.SteeringVector({"after_norm.relative": part})))
    torch.testing.assert_close(model(ids), plain + plain.norm(dim=-1, keepdim=True) * part)


def test_several_vectors_add_up_and_all_go_together(tmp_path: Path) -> None:
    model, ids = SplitModel(), torch.tensor([3, 1, 4])
    plain, server = model(ids), worker(model)
    path = saved(tmp_path, geo.SteeringVector({"output.0": torch.ones(8), "after_norm": torch.ones(8)}))
    for coefficient in (1.0, 2.0):
        server.add_steering_vector(path, coefficient)
    both = model(ids)
    assert server.remove_steering_vectors() == 4
    server.add_steering_vector(path, 3.0)
    torch.testing.assert_close(model(ids), both)
    server.remove_steering_vectors()
    assert torch.equal(model(ids), plain)


def test_a_hook_factory_gives_the_hook_of_one_site(tmp_path: Path) -> None:
    model, ids = SplitModel(), torch.tensor([3, 1, 4])
    model(ids)
    first = model.streams[0].clone()
    path = saved(tmp_path, geo.SteeringVector({"output.0": torch.ones(8), "output.1": torch.zeros(8)}))
    hook = steering_worker.hook_factory({"vector": path, "site": "output.0", "coefficient": 2.0})
    model.layers[0].register_forward_hook(hook)
    model(ids)
    torch.testing.assert_close(model.streams[0], first + 2)
    with pytest.raises(ValueError, match=r"no part at output\.5; there is output\.0, output\.1"):
        steering_worker.hook_factory({"vector": path, "site": "output.5"})


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"output.2": torch.ones(8)}, "has 2 blocks"),
        ({"output.0": torch.ones(9)}, "9 wide, the model 8"),
        ({"output.0": torch.ones(2, 8)}, "steers all tokens alike"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_hooked(part: Any, says: str, tmp_path: Path) -> None:
    model = SplitModel()
    with pytest.raises(ValueError, match=says):
        worker(model).add_steering_vector(saved(tmp_path, geo.SteeringVector(part)))
    assert tiny.hook_count(model) == 0


def test_other_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"output.0": torch.ones(8)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not a steering vector"):
        worker(SplitModel()).add_steering_vector(str(tmp_path / "other.safetensors"))


def test_the_file_stands_alone() -> None:
    """It imports what every server has, and loads without this package."""
    path = FOLDER / "steering_worker.py"
    roots = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert roots == {"collections", "typing", "torch", "safetensors"}
    code = "import sys, steering_worker; assert 'geometry' not in sys.modules; print(steering_worker.FORMAT)"
    done = subprocess.run([sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == steering_worker.FORMAT, done.stderr
