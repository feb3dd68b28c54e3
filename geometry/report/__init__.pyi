from .collected import Collected as Collected
from .collected import collect as collect
from .page import report_page as report_page
from .page import write_report as write_report
from .reading import StudyFolder as StudyFolder
from .reading import read_studies as read_studies
