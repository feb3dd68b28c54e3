from .null_values import NullValues as NullValues
from .result import EXACT as EXACT
from .result import LEVEL as LEVEL
from .result import TILTED as TILTED
from .result import Difference as Difference
from .result import TestResult as TestResult
from .results import Results as Results
