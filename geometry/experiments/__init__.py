"""The studies: each a question with options, whose run gives numbers that know their figures.

`STUDIES` lists them by name. A new study is a folder here: `study.py` holds the question and its options, other files
the method, the result and its figures.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
