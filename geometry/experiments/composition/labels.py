"""What was steered with, as parts, tables and figures call it; the last two are controls."""

STEPS = ("step of other categories", "own difference", "permuted positions", "random")
MOVES = ("step of other pairs", "own difference", "step of the other role", "random")
