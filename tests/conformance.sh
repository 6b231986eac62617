#!/usr/bin/env bash
# Runs the four stages and a search on every kind of Spark, compares all tables, and prints the table of docs/platforms.md.
#
#   tests/conformance.sh                  every row, one after the other
#   tests/conformance.sh 3.5 standalone   these rows, compared with 4.3
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. requirements/environment.sh
use_utf8
rows=("$@")
[ $# -gt 0 ] || rows=(4.3 connect server 4.1 4.0 3.5 local-cluster standalone wheel java21)
unset VIRTUAL_ENV CONDA_PREFIX SPARK_HOME PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON
export PYTHONDONTWRITEBYTECODE=1

use_wheel() { # the packages of .venv-dev, and this one as it is installed
    local folder=.venv-wheel wheels
    [ -x $folder/bin/python ] || "$PYTHON" -m venv $folder
    "$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$(echo $folder/lib/python*/site-packages)/packages.pth"
    wheels=$(mktemp -d)
    "$PYTHON" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$wheels" .
    $folder/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheels"/*.whl
    rm -rf "$wheels" build recommender.egg-info
}

fetched_java() (
    java() { :; } # as if the machine had none
    unset JAVA_HOME
    PYTHON=$PWD/.venv-wheel/bin/python
    use_java requirements/java.txt
    echo "$JAVA_HOME"
)

for row in "${rows[@]}"; do
    case $row in
        3.5) use_python requirements/spark35-dev.txt .venv-spark35 ;;
        4.0) use_python requirements/spark40.txt .venv-spark40 ;;
        4.1) use_python requirements/spark41.txt .venv-spark41 ;;
    esac
done
use_python requirements/spark4-dev.txt .venv-dev
use_java requirements/java.txt
export JAVA_HOME=${JAVA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")}
case " ${rows[*]} " in *" wheel "* | *" java21 "*) use_wheel ;; esac
case " ${rows[*]} " in *" java21 "*) FETCHED_JAVA=$(fetched_java) && export FETCHED_JAVA ;; esac
export PYTHONPATH=$PWD:$PWD/tests
exec "$PYTHON" -m support.conformance "${rows[@]}"
