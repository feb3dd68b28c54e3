"""How the study's measures are called in tables and figures, and the few numbers that both need."""

ON_PROMPTS, HELD_OUT, NEUTRAL = "prompts searched on", "held-out prompts", "held-out neutral text"
KL_HELD_OUT, KL_NEUTRAL = "KL on held-out prompts", "KL on neutral text"
CHANGES = (ON_PROMPTS, HELD_OUT, NEUTRAL)

FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0)  # of a vector's norm
FULL = FACTORS.index(1.0)
LARGEST_COORDINATES = 16  # of the change at full norm
CHANGE, PER_NORM, COSINE = "change", "change per norm", "cosine with the change at full norm"
COORDINATES, KEPT, MEANING, KL = "coordinates", "share in the largest coordinates", "agreement of meaning", "KL"
OF_PROMPTS = (CHANGE, PER_NORM, COSINE, COORDINATES, KEPT, MEANING, KL)

SPREAD, AGREEMENT = "spread over concepts", "agreement over prompts"
CLOSENESS, LARGEST = "closeness of risen concepts", "largest |z|"
# How searched vectors compare with random ones; 0: their intervals overlap.
FAR = {1: "further than", 0: "about as far as", -1: "less far than"}
ALIKE = {1: "more alike", 0: "about as much alike", -1: "less alike"}
CLOSE = {1: "closer", 0: "about as close", -1: "less close"}
STATISTICS = (SPREAD, AGREEMENT, CLOSENESS, LARGEST)

BY_VECTOR, BY_CHANGE = "vectors, |cosine|", "changes at the read site, cosine"
BY_MEANING = "log-odds of concepts, correlation"
WAYS = (BY_VECTOR, BY_CHANGE, BY_MEANING)
TOGETHER = 0.5  # cosine of changes, on average between two clusters that are joined
