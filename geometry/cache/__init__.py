"""Arrays that take long to compute, kept in files under the hash of all that decides them, and computed again at need.

It owns the folders of the package's cache that `KINDS` lists, and nothing else there: fetched files are of
`geometry.models`. What is above it may keep arrays; of ours it imports `errors`, `memory` and `output` alone.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
