"""The four stages in one session: ``spark-submit jobs/workflow.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a plain checkout needs no PYTHONPATH

from recommender.config import WORKFLOW
from recommender.job import run_job

if __name__ == "__main__":
    sys.exit(run_job(WORKFLOW, __file__))
