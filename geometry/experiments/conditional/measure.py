"""The measurements of the study of conditional steering, in the order of a method section."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geometry.directions import ConceptDirections
from geometry.errors import SteeringError
from geometry.experiments.conditional.answers import HELPING, PAIRS, QUESTION, REFUSAL_WORDS, REFUSING
from geometry.experiments.conditional.discrimination import split
from geometry.experiments.conditional.effects import Way, outcomes, written
from geometry.experiments.conditional.fitting import Prompts, Topic, fit_topic
from geometry.experiments.conditional.result import ConditionalResult
from geometry.experiments.evaluator import Evaluator
from geometry.experiments.study import Step
from geometry.judging import Judge, instruct_judge, judge_texts, probe_judge, word_judge
from geometry.models import require_language_model
from geometry.steering import (
    Architecture,
    ConceptSteering,
    Condition,
    SteeringVector,
    chat_prompts,
    contrastive_activation_addition,
    load_prompts,
    read_activations,
)

if TYPE_CHECKING:
    from geometry.experiments.conditional.study import ConditionalStudy

_STRENGTHS = (1.0, 2.0, 4.0, 6.0)
_FEWEST = 12  # of either kind, of which a half is trained on
_GOOSE = "bird.n.01"
_QUESTIONS = 8  # that the vector is made from


def measure_conditional(study: "ConditionalStudy", step: Step) -> ConditionalResult:
    """Fit conditions, make a vector, steer by both, have it judged; bad names are refused before a model is loaded."""
    require_language_model(study.model)
    sets = [load_prompts(name) for name in (study.topic, study.others)]
    counts = [study.n_prompts or len(each.texts) for each in sets]
    if fewer := next((each for each in sets if min(len(each.texts), *counts) < _FEWEST), None):
        raise SteeringError(f"{fewer.name}: at least {_FEWEST} prompts of either kind are needed, a half to fit on")
    if shared := set(sets[0].texts) & set(sets[1].texts):
        raise SteeringError(
            f"topic {sets[0].name!r} and others {sets[1].name!r} have {len(shared)} prompts in common; give two kinds"
            " that differ"
        )
    session, place = step.session, study.placement
    step(f"reading the unembedding of {study.model} and fitting concepts")
    unembedding = session.unembedding(study.model, place)
    hierarchy = session.hierarchy("wordnet-noun", unembedding.vocabulary)
    hierarchy.index(study.concept)
    # Words of birds are several tokens each in a small vocabulary.
    goose = _GOOSE if _GOOSE in hierarchy.names else None
    space = session.space(study.model, place)
    concepts = ConceptSteering(space, ConceptDirections.fit(space, hierarchy))
    summary = unembedding.summary()

    step("loading the model")
    model, tokenizer = session.language_model(study.model, place)
    chat = bool(getattr(tokenizer, "chat_template", None))
    middle = len(Architecture.of(model).blocks) // 2
    blocks = list(range(middle % study.every, middle + 1, study.every))
    topics: list[Topic] = []
    neutral = load_prompts("neutral").texts
    questions = _questions(study, tokenizer, chat=chat)
    for prompts, concept in ((questions, study.concept), (_geese(study.n_prompts), goose)):
        step(f"fitting the condition on {prompts.topic} at {len(blocks)} blocks")
        read = (concepts, concept, neutral)
        topics.append(fit_topic(model, tokenizer, prompts, blocks, read, n_random=study.n_random, seed=study.seed))

    step(f"making the vector at block {middle}, and choosing its strength")
    topic = topics[0]
    trained = topic.texts(held_out=False)[1][:_QUESTIONS]
    pairs = [(prompt + refusing, prompt + helping) for prompt in trained for refusing, helping in PAIRS]
    plain = contrastive_activation_addition(model, tokenizer, pairs, [f"output.{middle}"], token="mean")  # noqa: S106
    plain = replace(plain, provenance="refusal")
    strength = Evaluator(model, tokenizer, neutral).strongest_within(_STRENGTHS, plain.__mul__)
    vector = strength.value * plain
    ways = _ways(study, vector, topic, model, tokenizer)

    held_out = topic.texts(held_out=True)
    step(f"steering {len(held_out[0])} + {len(held_out[1])} held-out prompts in {len(ways)} ways")
    found = outcomes(model, tokenizer, [*held_out[0], *held_out[1]], ways)

    step("writing and judging")
    shown = [[*part[: study.n_generated]] for part in held_out]
    texts = written(model, tokenizer, [*shown[0], *shown[1]], ways, study.seed)
    judges = _judges(study, model, tokenizer, vector, chat=chat)
    sides = (slice(None, len(shown[0])), slice(len(shown[0]), None))
    judged = [judge_texts(judges, {name: each[side] for name, each in texts.items()}) for side in sides]
    return ConditionalResult(
        study=study,
        model=summary,
        topics=topics,
        vector=repr(vector),
        block=middle,
        strength=strength,
        conditions={name: repr(way.when) for name, way in ways.items() if way.when is not None},
        outcomes=found,
        n_positive=len(held_out[0]),
        texts=texts,
        shown=_asked(study, topic, shown),
        judged=(judged[0], judged[1]),
        chat=chat,
    )


def _questions(study: "ConditionalStudy", tokenizer: Any, *, chat: bool) -> Prompts:
    count = study.n_prompts or None
    kinds = []
    for name in (study.topic, study.others):
        read = load_prompts(name)
        groups = [list(read.texts[:count]), list(read.beginnings)]
        kinds.append([chat_prompts(tokenizer, group) if chat else group for group in groups])
    (topic, further), (others, rest) = kinds
    return Prompts(study.topic, study.others, "last", topic, others, (further, rest))


def _geese(n_prompts: int) -> Prompts:
    """Sentences that mention geese, against as many on other birds and on anything."""
    geese, birds, plain = (load_prompts(name) for name in ("geese", "birds", "plain"))
    others = [text for text in birds.texts if not any(word in text.lower() for word in ("goose", "geese", "gosling"))]
    negatives = [text for pair in zip(others, plain.texts, strict=False) for text in pair]
    count = min(n_prompts or len(geese.texts), len(geese.texts), len(negatives))
    return Prompts(
        "geese", "other birds, and anything", "max", geese.texts[:count], negatives[:count], _forms(geese, birds)
    )


def _forms(geese: Any, birds: Any) -> tuple[list[str], list[str]]:
    return list(geese.beginnings), list(birds.beginnings)


def _ways(
    study: "ConditionalStudy", vector: SteeringVector, topic: Topic, model: Any, tokenizer: Any
) -> dict[str, Way]:
    """Ways of steering by name, in the order of figures."""
    condition = topic.condition
    # By cosines, as the states of first tokens are a hundred times as long as all others.
    widest = replace(condition, pooling="max", cosine=True)
    scores = [widest.prompt_scores(model, tokenizer, texts) for texts in topic.texts(held_out=False)]
    by_token = replace(widest.with_threshold(scores[0], scores[1]), scope="token")
    return {
        "unsteered": Way(),
        "everywhere": Way(vector),
        "prompt": Way(vector, condition),
        "token": Way(vector, by_token),
        "shuffled": Way(vector, _shuffled(study, topic, model, tokenizer)),
        "random": Way(vector.random(study.seed), condition),
    }


def _shuffled(study: "ConditionalStudy", topic: Topic, model: Any, tokenizer: Any) -> Condition:
    """The same fit to classes that hold as many prompts of either kind."""
    positives, negatives = topic.texts(held_out=False)
    site = topic.condition.site
    rows = read_activations(model, tokenizer, [*positives, *negatives], [site])[site]
    rng = np.random.default_rng(study.seed)
    first = np.concatenate(
        [part[split(len(part), rng)[0]] for part in np.split(np.arange(len(rows)), [len(positives)])]
    )
    second = np.setdiff1d(np.arange(len(rows)), first)
    return Condition.from_states(rows[first], rows[second], site, name="the condition of shuffled labels")


def _judges(
    study: "ConditionalStudy", model: Any, tokenizer: Any, vector: SteeringVector, *, chat: bool
) -> list[Judge]:
    """Three probes of refusal: words, another site than the vector's, and the model itself where it can be asked."""
    site = f"output.{round(0.75 * (len(Architecture.of(model).blocks) - 1))}"
    judges: list[Judge] = [
        word_judge(REFUSAL_WORDS, "refusal", inflected=False),
        probe_judge(
            model, tokenizer, REFUSING, HELPING, site, steered=vector, name="probe of refusal", seed=study.seed
        ),
    ]
    if chat:
        judges.append(instruct_judge(model, tokenizer, QUESTION, name="the model, asked"))
    return judges


def _asked(study: "ConditionalStudy", topic: Topic, shown: list[list[str]]) -> list[tuple[str, str]]:
    """Kind and plain text of every prompt whose texts are shown."""
    made = []
    for name, indices, texts in zip((study.topic, study.others), topic.held_out, shown, strict=True):
        plain = load_prompts(name).texts
        made += [(name, plain[index]) for index, _ in zip(indices, texts, strict=False)]
    return made
