"""Pages: one HTML file each, which works from a file, loads and sends nothing, and takes no text for markup."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
