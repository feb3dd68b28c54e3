"""Evidence: statistics beside null models, claims with their verdicts, series of values.

`test_against_nulls` measures, `evaluate_claims` judges. A new null is a function from a cloud to a cloud
(`nulls.py`), a new statistic a function from directions to numbers (`statistics/`), a new claim a statistic with a
prediction and a rule (`claims.py`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
