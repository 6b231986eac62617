"""Run the project's own stages as the jobs that users run, and read what they have committed."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


def run(stage: str, root: str | Path, settings: Sequence[str]) -> dict[str, Any]:
    """Run one stage and return the record of its newest commit."""
    overrides = [argument for setting in settings for argument in ("--set", setting)]
    command = [REPOSITORY / "spark-submit.sh", stage, "--root", str(root), *overrides]
    with tempfile.TemporaryFile() as log:
        ended = subprocess.run(command, check=False, stdout=log, stderr=log)
        if ended.returncode:
            log.seek(0)
            sys.exit(f"{stage} ended with {ended.returncode}:\n{log.read().decode()[-3000:]}")
    record: dict[str, Any] = json.loads(max(Path(root, stage, "commits").glob("*.json")).read_text())
    return record


def metric(record: dict[str, Any], name: str, k: int) -> dict[str, dict[str, Any]]:
    """Return model -> the row of a metric at a cut-off: value, low, high, visitors."""
    return {row["model"]: row for row in record["metrics"] if (row["metric"], row["k"]) == (name, k)}


def with_interval(row: dict[str, Any]) -> str:
    """Return a value with its 95 % confidence interval."""
    if row["low"] is None:
        return f"{row['value']:.4f}"
    return f"{row['value']:.4f} ({row['low']:.4f}–{row['high']:.4f})"
