"""Compare what two runs have stored, table by table: by the checksums in the records, and where they differ by value.

    PYTHONPATH=.:tests python -m support.same_results ROOT OTHER_ROOT

Example usage:
>>> one = pd.DataFrame({"visitorid": [7, 8], "itemid": [1, 2], "score": [0.5, 0.25]})
>>> difference(one, one[::-1].assign(score=[0.25, 0.5 + 1e-7]))
''
>>> difference(one, one.assign(itemid=[1, 3])), difference(one, one.assign(score=[0.5, 0.3]))
('itemid', 'score by 0.05')
>>> difference(one, one[:1])
'2 rows, not 1'
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from support.submitting import commits, record

STAGES = ("stage1", "stage2", "stage3", "stage4", "tune")
TOLERANCE = 1e-6  # of factors, scores and metrics
_TIMED = {"trials": ["seconds"]}


def results(root: Path) -> dict[str, dict[str, Any]]:
    """Return stage -> record of its newest commit."""
    newest = {stage: commits(root, stage) for stage in STAGES}
    return {stage: record(found[-1]) for stage, found in newest.items() if found}


def differences(root: Path, other: Path) -> tuple[int, list[str], list[str]]:
    """Return how many tables two roots have, which are equal within the tolerance only, and which are not equal."""
    one, two = results(root), results(other)
    near, wrong = [], [f"{stage} is missing" for stage in sorted(one.keys() ^ two.keys())]
    tables = [(stage, table) for stage in one if stage in two for table in one[stage]["contents"]]
    for stage, table in tables:
        if one[stage]["contents"][table] == two[stage]["contents"].get(table):
            continue
        stored = [_table(place, stage, table, made[stage]) for place, made in ((root, one), (other, two))]
        found = difference(*stored)
        if found:
            wrong.append(f"{stage} {table}: {found}")
        elif table not in _TIMED:
            near.append(f"{stage} {table}")
    verdicts = [made.get("stage2", {}).get("blessed") for made in (one, two)]
    return len(tables), near, [*wrong, *(["the verdict"] if verdicts[0] != verdicts[1] else [])]


def difference(one: pd.DataFrame, other: pd.DataFrame) -> str:
    """Return how two tables differ, whatever the order of their rows; nothing if they do not."""
    if len(one) != len(other):
        return f"{len(one)} rows, not {len(other)}"
    approximate = [name for name in one if one[name].dtype.kind == "f" or _is_list(one[name])]
    keys = [name for name in one if name not in approximate]
    one, other = (rows.sort_values(keys, ignore_index=True) for rows in (one, other))
    for name in keys:
        if not one[name].equals(other[name]):
            return str(name)
    for name in approximate:
        a, b = (np.array(rows[name].tolist(), dtype=float) for rows in (one, other))
        if a.shape != b.shape or not np.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
            return f"{name} by {np.nanmax(np.abs(a - b)):.2g}" if a.shape == b.shape else str(name)
    return ""


def _is_list(column: pd.Series) -> bool:
    return bool(len(column)) and isinstance(column.iloc[0], np.ndarray | list)


def _table(root: Path, stage: str, table: str, made: dict[str, Any]) -> pd.DataFrame:
    folder = f"/{table}/"
    files = [root / stage / "data" / path for path in made["files"] if folder in path and path.endswith(".parquet")]
    rows = pd.concat([pq.read_table(file).to_pandas() for file in files], ignore_index=True)
    return rows.drop(columns=_TIMED.get(table, []))


if __name__ == "__main__":
    number, near, wrong = differences(*map(Path, sys.argv[1:3]))
    print(f"{number} tables; equal within {TOLERANCE}: {near}; different: {wrong}")
    sys.exit(bool(wrong))
