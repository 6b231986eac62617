"""Stage 2, train, as a job of its own: ``spark-submit jobs/stage2.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a plain checkout needs no PYTHONPATH

from recommender.run.job import run_job

if __name__ == "__main__":
    sys.exit(run_job(["stage2"], __file__))
