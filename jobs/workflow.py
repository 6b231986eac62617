"""The four stages in one session: ``spark-submit jobs/workflow.py --help``."""

import sys
from pathlib import Path

# Some runtimes of Databricks define no __file__; the working directory is this folder there.
SCRIPT = Path(globals().get("__file__", "workflow.py")).resolve()
sys.path.insert(0, str(SCRIPT.parent.parent))  # a plain checkout needs no PYTHONPATH

from recommender.run.config import WORKFLOW
from recommender.run.job import run_job

if __name__ == "__main__":
    code = run_job(WORKFLOW, SCRIPT)
    if code:  # a notebook's process takes any exit for a failure
        sys.exit(code)
