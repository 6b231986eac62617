#!/usr/bin/env bash
# Runs every check: ruff, mypy, doctests, pytest. Sets up what is missing first.
#
#   tests/run.sh                   everything but the tests marked slow
#   tests/run.sh -m slow           the tests marked slow alone; CONTRIBUTING.md says when
#   tests/run.sh tests/stage1 -x   pytest alone, with these arguments
#   SPARK=3.5 tests/run.sh         pytest on the oldest supported versions of everything
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. requirements/environment.sh
if [ "${SPARK:-4}" = 3.5 ]; then
    use_python requirements/spark35-dev.txt .venv-spark35
    warnings=() # Spark 3.5 has some of its own
else
    use_python requirements/spark4-dev.txt .venv-dev
    warnings=(-W error)
fi
use_java requirements/java.txt
bin=$(dirname "$PYTHON")
export PYTHONDONTWRITEBYTECODE=1
unset SPARK_HOME PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON

if [ $# -eq 0 ] && [ "${SPARK:-4}" = 4 ]; then
    "$bin/ruff" check .
    "$bin/ruff" format --check .
    "$bin/mypy"
fi
if [ $# -eq 0 ]; then
    set -- -m "not slow"
fi
"$PYTHON" -m pytest ${warnings[@]+"${warnings[@]}"} "$@"
