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
use_utf8
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
use_class_archive
export CLASS_ARCHIVE

if [ $# -eq 0 ] && [ "${SPARK:-4}" = 4 ]; then
    "$bin/ruff" check .
    "$bin/ruff" format --check .
fi
if [ $# -gt 0 ]; then
    exec "$PYTHON" -m pytest ${warnings[@]+"${warnings[@]}"} "$@"
fi
# Two halves side by side: most of the time a test waits for one thread of Spark, or for a process.
first=(tests/commands tests/jobs tests/nights tests/publishing tests/report tests/serving tests/snapshot tests/stage2
    tests/tune)
second=(recommender)
for path in tests/*/ tests/test_*.py; do
    case " ${first[*]} tests/support tests/__pycache__ tests/artifacts " in
        *" ${path%/} "*) ;;
        *) second+=("$path") ;;
    esac
done
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
pytest=("$PYTHON" -m pytest ${warnings[@]+"${warnings[@]}"} -p no:cacheprovider -m "not slow")
"${pytest[@]}" "${first[@]}" >"$logs/first" 2>&1 &
half=$!
types=
if [ "${SPARK:-4}" = 4 ]; then # mypy has one thread, and is done long before the tests
    "$bin/mypy" >"$logs/types" 2>&1 &
    types=$!
fi
failed=0
"${pytest[@]}" "${second[@]}" || failed=$?
wait "$half" || failed=$?
cat "$logs/first"
if [ -n "$types" ]; then
    wait "$types" || failed=$?
    cat "$logs/types"
fi
exit "$failed"
