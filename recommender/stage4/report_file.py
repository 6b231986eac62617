"""Write the report of a run beside what stage 4 has committed.

The file is not part of the result: the commit does not list it, readers do not open it, and the clean-up deletes it
with the attempt. It shows what the records hold, from which secrets were removed. A report that cannot be written
never fails a run.
"""

from typing import Final

from recommender.report import facts_of, report_page
from recommender.store import Commit, Store, now

REPORT: Final = "report.html"


def write_report(store: Store, commit: Commit) -> str:
    """Write the report, unless it is there already; others than those who may read the histories cannot read it.

    Args:
        commit: of stage 4.

    Returns:
        Why it was not written; empty if it was.
    """
    folder = f"{commit.stage}/data/{commit.attempt}"
    try:
        if REPORT not in store.files.names(folder):
            page = report_page([facts_of(store, commit.run_id, {commit.stage: commit})], now())
            store.files.create(f"{folder}/{REPORT}", page.encode())
            store.files.restrict(f"{folder}/{REPORT}")
    except Exception as error:  # noqa: BLE001 - the result is committed and published, whatever happens here
        return f"the report was not written: {type(error).__name__}: {error}"
    return ""
