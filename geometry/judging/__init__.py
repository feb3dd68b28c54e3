"""Judges: what a steered model writes, scored by more than one probe, and an adapter for lm-evaluation-harness.

>>> import geometry as geo
>>> words = geo.judging.word_judge(["goose", "duck"])
>>> length = geo.judging.Judge("length", "words", lambda texts: [len(text.split()) for text in texts])
>>> texts = {"unsteered": ["A cat sat.", "It rained."], "steered": ["Two geese sat.", "It rained ducks."]}
>>> geo.judging.judge_texts([words, length], texts).difference(words.name, "steered")["mean"].__round__(1)
33.3
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
