from .held_out import HeldOutClassification as HeldOutClassification
from .held_out import HeldOutSweep as HeldOutSweep
from .held_out import classify_held_out as classify_held_out
from .matching import Matching as Matching
from .matching import matched_cosines as matched_cosines
from .probe import Probe as Probe
