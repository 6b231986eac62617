"""The arrows between the modules point one way, and the driver holds no data."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "recommender"
# Folder or file of the package -> those that it may import. What is not listed here fails the test below.
ARROWS: dict[str, set[str]] = {
    **{ground: set() for ground in ("__init__", "constants", "errors", "times", "ranking")},
    "settings": {"errors"},
    "store": {"errors"},
    "spark": {"__init__", "constants", "errors", "ranking", "settings", "store"},
    "tables": {"errors", "spark", "store"},
    "evaluation": {"constants", "spark"},
    "sources": {"constants", "errors", "settings", "spark", "times"},
    "snapshot": {"constants", "errors", "ranking", "store"},
    "terminal": {"constants", "evaluation", "settings", "spark"},
    "publishing": {"errors", "settings", "spark", "store"},
    "stage": {"errors", "settings", "spark", "store", "tables"},
    "steps": {"constants", "errors", "ranking", "settings", "sources", "spark", "tables"},
    "ruled_stage": {"constants", "settings", "stage", "steps", "terminal"},
    "models": {"constants", "ranking", "ruled_stage", "spark", "steps", "tables"},
    "stage1": {
        "constants",
        "errors",
        "evaluation",
        "settings",
        "sources",
        "spark",
        "stage",
        "tables",
        "terminal",
        "times",
    },
    "stage2": {"constants", "errors", "evaluation", "models", "ranking", "ruled_stage", "settings", "spark", "stage"}
    | {"steps", "store"}
    | {"tables", "terminal"},
    "stage3": {"constants", "models", "ranking", "ruled_stage", "settings", "spark", "steps", "tables"},
    "stage4": {"constants", "errors", "evaluation", "publishing", "report", "settings", "snapshot", "sources", "spark"}
    | {"stage"}
    | {"steps", "store", "tables", "terminal"},
    "tune": {"constants", "errors", "models", "ruled_stage", "settings", "spark", "stage1", "stage2", "steps", "tables"}
    | {"stage", "store", "terminal", "times"},
    "inspect": {"constants", "errors", "settings", "terminal", "times"},
    "serving": {"__init__", "constants", "errors", "ranking", "snapshot", "store"},
    "report": {"constants", "errors", "evaluation", "publishing", "store", "terminal"},
    "tracking": {"__init__", "errors", "report", "settings", "store"},
    "commands": {"constants", "errors", "inspect", "publishing", "report", "serving", "settings", "snapshot"}
    | {"store", "terminal", "tracking"},
    "doctor": {"errors", "publishing", "run", "sources", "spark", "store", "terminal", "tracking"},
    "run": {"__init__", "constants", "errors", "inspect", "publishing", "settings", "spark", "stage", "store", "tables"}
    | {"terminal", "tracking"}
    | {"stage1", "stage2", "stage3", "stage4", "tune"},
    "__main__": {"__init__", "commands", "doctor", "errors", "run", "settings", "spark", "store", "terminal"},
}
WITHOUT_SPARK = ("errors", "constants", "inspect", "ranking", "report", "serving", "settings", "snapshot", "tracking")


def part(path: Path) -> str:
    """Return the folder or file of the package's root that a file or module belongs to."""
    return path.with_suffix("").parts[0] if path.name else "__init__"


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
                yield part(inner) if known else "__init__"


FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def wrong_imports(file: Path) -> set[str]:
    """Return the parts that a file imports and may not."""
    return set(imports(PACKAGE / file)) - {part(file), *ARROWS.get(part(file), ())}


def test_a_folder_imports_only_what_it_may() -> None:
    assert {part(file) for file in FILES} == ARROWS.keys(), "list them in ARROWS"
    # The package itself imports for type checkers only; what it hands out is imported when somebody asks for it.
    wrong = {str(file): wrong_imports(file) for file in FILES if file != Path("__init__.py")}
    assert {file: parts for file, parts in wrong.items() if parts} == {}


def test_no_folders_import_each_other_in_a_circle() -> None:
    left = dict(ARROWS)
    while ground := [name for name, below in left.items() if not below & left.keys()]:
        for name in ground:
            del left[name]
    assert not left, f"these import each other: {', '.join(sorted(left))}"


def test_the_root_of_the_package_is_small() -> None:
    assert len([file for file in FILES if len(file.parts) == 1]) <= 8


def test_a_step_imports_no_other_step() -> None:
    steps = [file for file in FILES if "steps" in file.parts and file.name != "__init__.py"]
    other = r"^from recommender\.(\w+\.)?steps"
    assert [str(step) for step in steps if re.search(other, (PACKAGE / step).read_text("utf-8"), re.MULTILINE)] == []


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


def test_what_needs_no_spark_imports_none() -> None:
    assert [str(file) for file in FILES if part(file) in WITHOUT_SPARK and is_of_spark(file)] == []


def test_the_driver_holds_no_data() -> None:
    forbidden = r"\.(toPandas|collectAsMap|rdd|sparkContext|toArrow)\b|StringIndexer|randomSplit|monotonically"
    assert files_with(forbidden) == []


def test_only_the_session_module_starts_a_session() -> None:
    started = files_with(r"SparkSession\.builder|SparkContext|getOrCreate")
    edge = ("spark/session.py: ", "spark/effort.py: ", "spark/java.py: ")
    assert [found for found in started if not found.startswith(edge)] == []


def is_of_spark(file: Path) -> bool:
    return "pyspark" in code(PACKAGE / file)


def test_rows_come_to_the_driver_only_where_they_are_few() -> None:
    """Every place that fetches rows is listed, so that a new one is looked at."""
    fetched = r"(?<!\bF)\.(?:collect|toLocalIterator|first|head|take)\(|(?<!def )\bfetch\("
    found = {str(file): len(re.findall(fetched, code(PACKAGE / file))) for file in FILES if is_of_spark(file)}
    assert {file: number for file, number in found.items() if number} == {
        "doctor/session.py": 1,  # the number of tasks with another Python
        "run/reach.py": 1,  # the number of tasks that do not find a file
        "spark/aggregates.py": 2,  # one aggregate; the rows of small frames, each listed here where it is fetched
        "tables/audit.py": 2,  # a row per file
        "spark/cluster.py": 1,  # the number of cores
        "spark/search.py": 3,  # the largest norm of each block of items; the take of Arrow columns, twice
        "spark/session.py": 1,  # the settings
        "sources/chosen.py": 1,  # the given values of a partition
        "sources/csv_files.py": 2,  # a file with a quote that is not closed; a row that is made to try the options
        "sources/csv_head.py": 1,  # the first lines of each file
        "sources/jdbc.py": 1,  # the bounds of a column
        "sources/json_lines.py": 2,  # the first line; the keys of a sample of lines
        "sources/moments.py": 1,  # a row that is made to try a pattern
        "sources/paths.py": 1,  # the length of a packed file from which nothing is read
        "sources/tables.py": 1,  # the newest version
        "stage1/event_kinds.py": 1,  # the most frequent kinds, if some have no weight or never occur
        "stage1/event_log.py": 1,  # the heaviest visitors
        "stage1/main.py": 1,  # numbers of pairs
        "stage1/steps/column_encoder.py": 2,  # one id in 2,048; the sizes of at most 1,024 buckets
        "stage1/steps/event_profile.py": 1,  # a row per kind and day, and per count of an item; the heaviest ids
        "stage1/steps/train_test_split.py": 1,  # the distinct values of few events, or inside the bracket
        "stage2/main.py": 2,  # numbers of scores and visitors; the metrics, and the replicates of one
        "stage2/steps/als_fitter.py": 1,  # the extremes of the factors
        "stage2/steps/model_gate.py": 1,  # the metrics at one cut-off; the replicates of one metric
        "stage4/snapshot.py": 3,  # the files of a snapshot, one at a time; the kinds of events
        "stage4/steps/release_diff.py": 2,  # the items, and the visitors, that change most
        "stage4/steps/run_report.py": 2,  # the few example visitors; how many items are in how many lists
        "stage4/steps/serving_snapshot.py": 1,  # how many rows of the items table name nothing
        "steps/fold_in.py": 1,  # a matrix of rank x rank per partition of the items
        "steps/top_k_recommender.py": 2,  # two numbers; the take of an Arrow column
        "tune/objective.py": 1,  # a metric, and its values in the replicates of the bootstrap
    }


# Methods that are described once: by the class of a step or stage, by the base of all stages, by the modules of
# `commands`, or by the protocols Files, Target and Listener.
OF_INTERFACES = {
    *("execute", "is_wanted", "lines", "release", "target", "written"),
    *("add_arguments", "text"),
    *("create", "delete", "locked", "modified", "names", "read", "sha256", "url", "walk"),
    *("has", "held", "named", "position", "show"),
    *("begun", "done", "failed"),
}


def test_a_public_function_says_what_it_is_for_unless_its_interface_does() -> None:
    silent = [
        f"{file}: {node.name}"
        for file in FILES
        for scope in ast.walk(ast.parse((PACKAGE / file).read_text(encoding="utf-8")))
        for node in (scope.body if isinstance(scope, ast.Module | ast.ClassDef) else ())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if not node.name.startswith("_") and node.name not in OF_INTERFACES
        if not (isinstance(scope, ast.ClassDef) and scope.name.startswith("_"))
        if ast.get_docstring(node) is None
    ]
    assert silent == []


def test_every_window_has_a_partition() -> None:
    assert files_with(r"Window\.(?!partitionBy\b)\w+") == []


def test_jobs_hold_nothing_but_the_names_of_their_stages() -> None:
    for path in (ROOT / "jobs").glob("*.py"):
        assert len(path.read_text().splitlines()) < 20
