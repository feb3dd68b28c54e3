"""Files that are whole or untouched, whenever a run is ended: folders of results, single files, locks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
