"""The report of a run: one HTML file without scripts, made from the records of the store.

Example usage:
>>> import tempfile
>>> from recommender.store import Store, open_files
>>> store = Store(open_files(tempfile.mkdtemp(), hadoop=lambda: None))
>>> commit = store.commit(store.begin("stage1", "monday"), {"files": {}, "warnings": ["a feed is late"]})
>>> page = report_page([facts_of(store, "monday", {"stage1": commit})])
>>> page.startswith("<!DOCTYPE html>"), "a feed is late" in page
(True, True)
"""

from recommender.report.facts import Facts, facts_of
from recommender.report.making import settings_text
from recommender.report.page import report_page
from recommender.report.verdict import verdict

__all__ = ["Facts", "facts_of", "report_page", "settings_text", "verdict"]
