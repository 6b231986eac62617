#!/usr/bin/env bash
# Writes the hash-locked requirement files anew; needs uv. Run it after a change of setup.cfg or of a constraint.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() { uv pip compile --quiet --generate-hashes --no-header --no-annotate "$@"; }
lock setup.cfg --extra spark --extra postgres --extra serve -c requirements/spark4.constraints --universal --python-version 3.10 -o requirements/spark4.txt
lock setup.cfg --extra connect --extra postgres --extra serve --extra test --extra browser --extra client --extra second_library --extra mlflow --extra mlflow_server --extra lint -c requirements/spark4.constraints --universal --python-version 3.10 -o requirements/spark4-dev.txt
# pyarrow 14 and numpy 1.23 have wheels for Python 3.10 and 3.11 only.
lock setup.cfg --extra spark --extra postgres --extra serve --extra test -c requirements/spark35.constraints --python-version 3.11 -o requirements/spark35-dev.txt
# What tests/conformance.sh tries besides.
for version in 40 41; do
    lock setup.cfg --extra connect -c requirements/spark$version.constraints --python-version 3.11 -o requirements/spark$version.txt
done
lock setup.cfg --extra serve -c requirements/spark4.txt --universal --python-version 3.10 -o requirements/serve.txt
lock requirements/java.in --universal --python-version 3.10 -o requirements/java.txt
