"""The arrows between the modules point one way, and the driver holds no data."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "recommender"
LEAVES = {
    "aggregates",
    "base",
    "cached",
    "checkpoints",
    "times",
    "constants",
    "errors",
    "schemas",
    "spark_errors",
    "partitions",
    "persistent",
    "recommender",
}

# Part of the package -> the parts that it may import. What is not listed here fails the test below.
ARROWS: dict[str, set[str]] = {
    "aggregates": set(),
    "cached": set(),
    "als_model": {"aggregates", "audit", "errors", "session", "spark_errors", "store", "tables"},
    "checkpoints": set(),
    "constants": set(),
    "errors": set(),
    "schemas": set(),
    "partitions": set(),
    "persistent": set(),
    "spark_errors": {"errors"},
    "base": {"errors", "redaction"},
    "ranking": set(),
    "blocks": {"constants", "recommender"},
    "counting": set(),
    "timed": set(),
    "times": set(),
    "sources": {"aggregates", "constants", "errors", "redaction", "spark_errors", "times"},
    "tables": {"schemas"},
    "evaluation": {"blocks", "constants"},
    "redaction": set(),
    "store": {"errors"},
    "audit": {"errors", "store", "tables"},
    "stage": {"base", "cached", "counting", "errors", "tables"},
    "search": LEAVES | {"ranking", "blocks"},
    "steps": LEAVES | {"ranking", "blocks", "search", "sources"},
    **{f"stage{n}/steps": LEAVES | {"ranking", "blocks", "search", "evaluation", "sources"} for n in "1234"},
    **{f"stage{n}/main": LEAVES | {"steps", f"stage{n}/steps", "stage", "counting", "tables"} for n in "1234"},
    "stage1/main": LEAVES
    | {"stage1/steps", "stage1/event_log", "stage1/evaluation_split", "stage1/scoring", "stage", "counting", "tables"}
    | {"stage1/event_kinds"},
    "stage2/main": LEAVES
    | {"steps", "stage2/steps", "stage2/segments", "stage2/lists", "stage", "ruled_stage", "counting", "tables"},
    "stage4/reading_back": LEAVES,
    "stage4/steps": LEAVES | {"delivery", "serving", "sources", "stage4/reading_back"},
    "stage4/delivery": {"delivery"},
    "stage4/snapshot": LEAVES | {"serving", "stage", "stage4/steps", "steps"},
    "stage4/main": LEAVES | {"stage4/delivery", "stage4/snapshot", "stage4/steps", "stage", "counting", "tables"},
    "delivery": {"errors", "redaction", "session", "store"},
    "publication": {"delivery", "errors", "store"},
    "expose": {"audit", "progress", "publication", "stage4/main", "store", "tables"},
    "releases": {"store"},
    "release_summary": {"text"},
    "stage2/lists": LEAVES | {"stage2/steps", "steps"},
    "stage2/segments": {"constants"},
    "stage3/main": LEAVES | {"blocks", "steps", "stage3/steps", "ruled_stage", "counting", "tables"},
    "ruled_stage": {"kinds", "stage", "steps"},
    "kinds": set(),
    "gate": {"errors", "store"},
    "stage1/event_cells": {"constants", "sources"},
    "stage1/event_log": LEAVES
    | {"stage1/event_cells", "stage1/event_kinds", "stage1/forecast", "stage1/steps", "counting", "sources"},
    "stage1/event_kinds": LEAVES | {"kinds", "stage1/steps"},
    "stage1/forecast": set(),
    "stage1/steps": LEAVES
    | {"ranking", "blocks", "search", "evaluation", "sources", "stage1/event_cells", "stage1/forecast"},
    "tune/trial": set(),
    "tune/space": {"tune/trial"},
    "tune/study": {"errors", "tune/space", "tune/trial"},
    "tune/scoring": LEAVES | {"stage1/steps", "tune/space", "tune/trial"},
    "tune/steps": LEAVES | {"text", "tune/space", "tune/study", "tune/trial"},
    "tune/prepared": LEAVES | {"stage2/steps", *(f"tune/{name}" for name in ("scoring", "steps", "trial"))},
    "tune/objective": LEAVES
    | {"steps", "stage2/lists", "stage2/steps"}
    | {f"tune/{name}" for name in ("prepared", "scoring", "steps", "trial")},
    "tune/best": {"yaml_text", "tune/scoring", "tune/space", "tune/trial"},
    "tune/main": LEAVES
    | {"steps", "stage1/steps", "stage2/steps", "ruled_stage", "counting", "tables"}
    | {f"tune/{name}" for name in ("best", "objective", "prepared", "scoring", "steps", "study", "trial")},
    "stage1/evaluation_split": LEAVES | {"stage1/steps", "stage1/own_holdout", "counting"},
    "stage1/own_holdout": LEAVES | {"stage1/steps"},
    "stage1/scoring": LEAVES | {"stage1/steps", "counting"},
    "variables": {"errors", "redaction"},
    "yaml_text": {"errors"},
    "config": {"base", "errors", "variables", "yaml_text", *(f"stage{n}/main" for n in "1234"), "tune/main"},
    "session": {"redaction", "store"},
    "termination": set(),
    "progress": {"session", "text"},
    "sample": {"constants", "session"},
    "text": set(),
    "summary": {"constants", "evaluation", "stage4/steps", "text"},
    "inspect": {"constants", "errors", "text", "yaml_text"},
    "commands": {
        *(
            "constants",
            "delivery",
            "errors",
            "gate",
            "inspect",
            "publication",
            "redaction",
            "release_summary",
            "releases",
            "serving",
            "store",
        ),
        *("summary", "text"),
    },
    "serving": {"constants", "errors", "ranking", "recommender", "store"},
    "preflight": {"recommender", "base", "errors", "redaction", "stage", "store"},
    "execution": {"als_model", "audit", "errors", "session", "stage", "store", "tables", "timed"},
    "runner": {
        *(
            "audit",
            "constants",
            "errors",
            "execution",
            "gate",
            "preflight",
            "progress",
            "redaction",
            "sample",
            "session",
            "stage",
            "store",
        ),
        *("termination", "text"),
    },
    "job": {
        *("config", "errors", "expose", "preflight", "progress", "redaction", "release_summary", "releases", "runner"),
        *("session", "spark_errors", "stage", "stage1/main", "stage4/main", "store", "summary", "termination", "text"),
    },
    "__main__": {"recommender", "commands", "config", "errors", "redaction", "session", "store", "text"},
    "recommender": set(),
}


def part(path: Path) -> str:
    """Return the part of the package that a file or module belongs to."""
    names = list(path.with_suffix("").parts) if path.name else []
    if not names or names == ["__init__"]:
        return "recommender"
    if (names[0].startswith("stage") and names[0][5:].isdigit()) or names[0] == "tune":
        return "/".join(names[:2])
    return names[0]


def imports(path: Path) -> Iterator[str]:
    """Return the parts that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "recommender":
            modules = [f"recommender.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
        for module in modules:
            if module.split(".")[0] == "recommender":
                inner = Path(*module.split(".")[1:])
                known = (PACKAGE / inner).exists() or (PACKAGE / inner).with_suffix(".py").exists()
                yield part(inner) if known else "recommender"


FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def wrong_imports(file: Path) -> set[str]:
    """Return the parts that a file imports and may not."""
    own = part(file)
    allowed = set() if own.endswith("/__init__") else {own, *ARROWS.get(own, ())}
    return set(imports(PACKAGE / file)) - allowed


def test_a_module_imports_only_what_it_may() -> None:
    unlisted = {own for own in map(part, FILES) if own not in ARROWS and not own.endswith("/__init__")}
    assert not unlisted, "list them in ARROWS"
    wrong = {str(file): wrong_imports(file) for file in FILES}
    assert {file: parts for file, parts in wrong.items() if parts} == {}


def test_a_step_imports_no_other_step() -> None:
    steps = [file for file in FILES if "steps" in file.parts and file.name != "__init__.py"]
    other = r"^from recommender\.(\w+\.)?steps"
    assert [str(step) for step in steps if re.search(other, (PACKAGE / step).read_text("utf-8"), re.MULTILINE)] == []


def test_numpy_kernels_know_no_spark() -> None:
    for path in (PACKAGE / "ranking").rglob("*.py"):
        assert "pyspark" not in path.read_text(encoding="utf-8")


@cache
def code(path: Path) -> str:
    """Return the code of a module without its docstrings and comments."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    return ast.unparse(tree)


def files_with(forbidden: str) -> list[str]:
    """Return the files whose code has a match of a pattern, with the first match."""
    found = {file: re.search(forbidden, code(PACKAGE / file)) for file in FILES}
    return [f"{file}: {match[0]}" for file, match in found.items() if match]


def test_the_driver_holds_no_data() -> None:
    forbidden = r"\.(toPandas|collectAsMap|rdd|sparkContext|toArrow)\b|StringIndexer|randomSplit|monotonically"
    assert files_with(forbidden) == []


def test_only_the_session_module_starts_a_session() -> None:
    started = files_with(r"SparkSession\.builder|SparkContext|getOrCreate")
    assert [found for found in started if not found.startswith("session.py: ")] == []


def is_of_spark(file: Path) -> bool:
    return "pyspark" in code(PACKAGE / file)


def test_rows_come_to_the_driver_only_where_they_are_few() -> None:
    """Every place that fetches rows is listed, so that a new one is looked at."""
    fetched = r"(?<!\bF)\.(?:collect|toLocalIterator|first|head|take)\(|(?<!def )\bfetch\("
    found = {str(file): len(re.findall(fetched, code(PACKAGE / file))) for file in FILES if is_of_spark(file)}
    assert {file: number for file, number in found.items() if number} == {
        "aggregates.py": 2,  # one aggregate; the rows of small frames, each listed here where it is fetched
        "audit.py": 2,  # a row per file
        "partitions.py": 1,  # the number of cores
        "search.py": 3,  # the largest norm of each block of items; the take of Arrow columns, twice
        "session.py": 1,  # the settings
        "sources/chosen.py": 1,  # the given values of a partition
        "sources/csv_files.py": 2,  # a file with a quote that is not closed; a row that is made to try the options
        "sources/csv_head.py": 1,  # the first lines of each file
        "sources/jdbc.py": 1,  # the bounds of a column
        "sources/json_lines.py": 1,  # the keys of a sample of lines
        "sources/moments.py": 1,  # a row that is made to try a pattern
        "sources/tables.py": 1,  # the newest version
        "stage1/event_kinds.py": 1,  # the most frequent kinds, if some have no weight or never occur
        "stage1/event_log.py": 1,  # the heaviest visitors
        "stage1/main.py": 1,  # numbers of pairs
        "stage1/steps/column_encoder.py": 2,  # one id in 2,048; the sizes of at most 1,024 buckets
        "stage1/steps/event_profile.py": 1,  # a row per kind and day; the heaviest ids
        "stage1/steps/train_test_split.py": 1,  # the distinct values of few events, or inside the bracket
        "stage2/main.py": 2,  # numbers of scores and visitors; the metrics, and the replicates of one
        "stage2/steps/model_gate.py": 1,  # the metrics at one cut-off; the replicates of one metric
        "stage4/snapshot.py": 3,  # the files of a snapshot, one at a time; the kinds of events
        "stage4/steps/release_diff.py": 2,  # the items, and the visitors, that change most
        "stage4/steps/run_report.py": 2,  # the few example visitors
        "steps/fold_in.py": 1,  # a matrix of rank x rank per partition of the items
        "steps/top_k_recommender.py": 2,  # two numbers; the take of an Arrow column
    }


def test_every_window_has_a_partition() -> None:
    assert files_with(r"Window\.(?!partitionBy\b)\w+") == []


def test_jobs_hold_nothing_but_the_names_of_their_stages() -> None:
    for path in (ROOT / "jobs").glob("*.py"):
        assert len(path.read_text().splitlines()) < 20
