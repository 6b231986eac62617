"""Sample events as a job: ``spark-submit jobs/sample.py --events 3000000 --out events.parquet``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a plain checkout needs no PYTHONPATH

from recommender.run.sample import main

if __name__ == "__main__":
    sys.exit(main())
