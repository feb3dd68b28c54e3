"""One page a model from the results that its analyses left: reads result files only."""

from geometry.report.page import report_page, write_report
from geometry.report.reading import Analysis, FigureFile, read_analyses

__all__ = ["Analysis", "FigureFile", "read_analyses", "report_page", "write_report"]
