"""The four stages in one session: ``spark-submit jobs/workflow.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a plain checkout needs no PYTHONPATH

from recommender.run.config import WORKFLOW
from recommender.run.job import run_job

if __name__ == "__main__":
    sys.exit(run_job(WORKFLOW, __file__))
