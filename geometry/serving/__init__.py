"""Steering in inference servers: `steering_worker.py` stands alone, to be put on a server's PYTHONPATH.

>>> import geometry.serving
>>> geometry.serving.FOLDER.joinpath("steering_worker.py").is_file()
True
"""

from pathlib import Path

FOLDER = Path(__file__).parent
