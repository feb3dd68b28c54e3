from .result import NullValues as NullValues
from .result import TestResult as TestResult
from .results import Results as Results
