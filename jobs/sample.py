"""Sample events as a job: ``spark-submit jobs/sample.py --events 3000000 --out events.parquet``."""

import sys
from pathlib import Path

# Some runtimes of Databricks define no __file__; the working directory is this folder there.
SCRIPT = Path(globals().get("__file__", "sample.py")).resolve()
sys.path.insert(0, str(SCRIPT.parent.parent))  # a plain checkout needs no PYTHONPATH

from recommender.run.sample import main

if __name__ == "__main__":
    code = main()
    if code:  # a notebook's process takes any exit for a failure
        sys.exit(code)
