#!/usr/bin/env bash
# Runs the workflow, or one stage, and sets up what is missing first.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: ./spark-submit.sh [spark-submit options] [JOB] [job options]

JOB is workflow (the default), stage1, stage2, stage3, stage4, tune or sample.
Options of spark-submit (--master, --conf, --packages, ...) go before JOB. Options of the job are
  --config FILE, --set KEY=VALUE, --root FOLDER, --run-id ID, --force, --from STAGE, --until STAGE,
  --override-gate REASON, --dry-run, --verbose
and may stand alone: ./spark-submit.sh --set stage1.data_loader.event_filename=events.csv
./spark-submit.sh JOB --help shows its options.

The first start makes a virtual environment in .venv and, if there is no Java 17 or newer, fetches one.
An activated environment and an existing SPARK_HOME are used instead.
USAGE
}

home=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
submit=()
job=workflow
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        workflow | stage1 | stage2 | stage3 | stage4 | tune | sample)
            job=$1
            shift
            arguments+=("$@")
            break
            ;;
        --config | --set | --root | --run-id | --from | --until | --override-gate)
            [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 10; }
            arguments+=("$1" "$2")
            shift 2
            ;;
        --config=* | --set=* | --root=* | --run-id=* | --from=* | --until=* | --override-gate=* | --force | --dry-run | --verbose)
            arguments+=("$1")
            shift
            ;;
        -v | --supervise | --version | --load-spark-defaults | -*=*) submit+=("$1"); shift ;;
        -*)
            [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 10; }
            submit+=("$1" "$2")
            shift 2
            ;;
        *)
            echo "$1 is not a job: use workflow, stage1, stage2, stage3, stage4, tune or sample" >&2
            exit 10
            ;;
    esac
done

# shellcheck source=requirements/environment.sh
. "$home/requirements/environment.sh"
use_utf8
use_python "$home/requirements/spark4.txt" "$home/.venv"
use_java "$home/requirements/java.txt"

# Half of the machine's memory, 1 to 8 GB: on one machine the driver does all of Spark's work. The log's settings as a URI:
# SPARK_SUBMIT_OPTS is split at blanks. The folder of pyspark: its script in an environment fails below a path with a blank.
facts=$("$PYTHON" -c '
import importlib.util, os, pathlib, sys
print(min(max(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**31, 1), 8))
print(pathlib.Path(sys.argv[1]).as_uri())
found = importlib.util.find_spec("pyspark")
print(os.path.dirname(found.origin) if found and found.origin else "")
' "$home/recommender/spark/log4j2.properties")
{ read -r memory; read -r logging; read -r pyspark || true; } <<<"$facts"
export SPARK_HOME=${SPARK_HOME:-$pyspark}
program=$SPARK_HOME/bin/spark-submit
[ -n "$SPARK_HOME" ] || die "The environment of $PYTHON has no pyspark; set SPARK_HOME to a Spark 3.5 or 4 installation."
[ -x "$program" ] || die "$program does not exist; set SPARK_HOME to a Spark 3.5 or 4 installation, or unset it."
use_class_archive
defaults=$(cat "${SPARK_CONF_DIR:-$SPARK_HOME/conf}/spark-defaults.conf" 2>/dev/null || true)

# The default of PYSPARK_PYTHON is the "python3" in PATH, which may lack the packages.
export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$PYTHON} PYSPARK_DRIVER_PYTHON=${PYSPARK_DRIVER_PYTHON:-$PYTHON}
export PYTHONUNBUFFERED=1
# These apply only if neither the command line nor spark-defaults.conf sets them.
export SPARK_DRIVER_MEMORY=${SPARK_DRIVER_MEMORY:-${memory}g}
# Cached blocks are chunks of 4 MB, which Java's default collector (G1) stores so badly in a heap of a few GB that it runs out
# of memory: see docs/decisions/0013. A collector that is named already stays; two would keep Java from starting.
case "${submit[*]-} ${SPARK_SUBMIT_OPTS:-} ${JAVA_TOOL_OPTIONS:-} $defaults" in
    *-XX:+Use*GC*) ;;
    *) SPARK_SUBMIT_OPTS="-XX:+UseParallelGC ${SPARK_SUBMIT_OPTS:-}" ;;
esac
# Java's second compiler costs more time than a small job takes: it waits four times as long as by default. A large log needs
# it: see docs/decisions/0017. What the first one makes needs more of the stack.
case "${submit[*]-} ${SPARK_SUBMIT_OPTS:-} ${JAVA_TOOL_OPTIONS:-}" in
    *-XX:*Tier*) ;;
    *) SPARK_SUBMIT_OPTS="-Xss4m -XX:Tier4InvocationThreshold=20000 -XX:Tier4MinInvocationThreshold=2400 \
-XX:Tier4CompileThreshold=60000 -XX:Tier4BackEdgeThreshold=160000 ${SPARK_SUBMIT_OPTS:-}" ;;
esac
export SPARK_SUBMIT_OPTS="-Dlog4j2.configurationFile=$logging $CLASS_ARCHIVE ${SPARK_SUBMIT_OPTS:-}"

# The master, in spark-submit's order: the command line, spark-defaults.conf, MASTER.
master=$(sed -n 's/^[[:space:]]*spark\.master[[:space:]=]*//p' <<<"$defaults")
master=${master:-${MASTER:-local}}
previous=
for option in ${submit[@]+"${submit[@]}"}; do
    case "$previous $option" in
        "--master "*) master=$option ;;
        *" --master="*) master=${option#--master=} ;;
        *" spark.master="* | *" --conf=spark.master="*) master=${option##*spark.master=} ;;
        *" --properties-file"* | *" --remote"*) master=unknown ;;
    esac
    previous=$option
done
case $master in
    local | local\[*) export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1} ;; # one machine: the driver needs no outer address
esac
# A BLAS thread per task: the cores are busy with tasks already.
export OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}

[ -t 2 ] && export RECOMMENDER_TERMINAL=1
exec "$program" ${submit[@]+"${submit[@]}"} "$home/jobs/$job.py" ${arguments[@]+"${arguments[@]}"}
