"""The packaged glosses against Princeton's own files, read by hand and not through NLTK."""

import re
import tarfile

import geometry as geo
from geometry.concepts import load_glosses

FILES = ("data.noun", "data.verb", "data.adj", "data.adv")  # the order of the packaged file

TEXTS, GLOSSES = load_glosses(), load_glosses(examples=False)


def letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def test_every_five_hundredth_gloss_is_that_of_the_database() -> None:
    archive = geo.models.cached_path(geo.models.CATALOGUE["wordnet-3.0"])
    assert archive.exists(), "run: concept-geometry fetch wordnet-3.0"
    glosses: list[str] = []
    with tarfile.open(archive) as sdist:
        members = {member.name.rpartition("/")[2]: member for member in sdist if "/wordnet-3.0/" in member.name}
        for name in FILES:
            file = sdist.extractfile(members[name])
            assert file is not None
            lines = file.read().decode().splitlines()
            glosses += [line.partition("|")[2] for line in lines if not line.startswith("  ")]
    texts = TEXTS
    assert len(texts) == len(glosses) == 117_659
    for theirs, ours in list(zip(glosses, texts, strict=True))[::500]:
        examples = re.findall(r'"([^"]*)"', theirs)
        gloss = re.sub(r'"[^"]*"', "", theirs)
        assert letters(ours) == letters(gloss) + "".join(map(letters, examples))


def test_glosses_are_sentences_with_their_examples_after_them() -> None:
    texts, alone = TEXTS, GLOSSES
    assert sum(text != gloss for text, gloss in zip(texts, alone, strict=True)) > 30_000
    assert all(text.startswith(gloss) for text, gloss in zip(texts, alone, strict=True))
    assert all(text[-1] in ".!?" and text[0] == text[0].upper() for text in texts)
    assert "Warm-blooded egg-laying vertebrates characterized by feathers and forelimbs modified as wings." in texts


def test_an_order_is_that_of_its_seed_and_has_all_of_them() -> None:
    first = load_glosses(examples=False, seed=0)
    assert first[:1] == ["United States showman whose song-and-dance troop evolved into a circus (1863-1926)."]
    assert first != GLOSSES
    assert sorted(first) == sorted(GLOSSES)
