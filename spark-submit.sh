#!/usr/bin/env bash
# Runs the workflow, or one stage, and sets up what is missing first.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: ./spark-submit.sh [spark-submit options] [JOB] [job options]

JOB is workflow (the default), stage1, stage2, stage3, stage4, tune or sample.
Options of spark-submit (--master, --conf, --packages, ...) go before JOB. Options of the job are
  --config FILE, --set KEY=VALUE, --root FOLDER, --run-id ID, --force, --from STAGE, --until STAGE,
  --override-gate REASON, --verbose
and may also stand alone: ./spark-submit.sh --set stage1.data_loader.event_filename=events.csv
./spark-submit.sh JOB --help tells more about a job.

The first start makes a virtual environment in .venv and, where there is no Java 17 or newer, fetches one.
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
        --config=* | --set=* | --root=* | --run-id=* | --from=* | --until=* | --override-gate=* | --force | --verbose)
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
            echo "$1 is no job: use workflow, stage1, stage2, stage3, stage4, tune or sample" >&2
            exit 10
            ;;
    esac
done

# Half of the machine's memory, 1 to 8 GB: on one machine the driver does all of Spark's work.
half_of_memory() {
    "$PYTHON" -c 'import os; pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
print(f"{min(max(pages // 2**31, 1), 8)}g")'
}

# shellcheck source=requirements/environment.sh
. "$home/requirements/environment.sh"
use_python "$home/requirements/spark4.txt" "$home/.venv"
use_java "$home/requirements/java.txt"

# Workers run "python3" from PATH unless they are told.
export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$PYTHON} PYSPARK_DRIVER_PYTHON=${PYSPARK_DRIVER_PYTHON:-$PYTHON}
export PYTHONUNBUFFERED=1
# These apply only where neither the command line nor spark-defaults.conf says otherwise.
export SPARK_DRIVER_MEMORY=${SPARK_DRIVER_MEMORY:-$(half_of_memory)}
# Cached blocks are chunks of 4 MB, which Java's default collector (G1) stores so badly in a heap of a few GB that it runs out
# of memory: see docs/decisions/0013. Who names a collector keeps it; two would keep Java from starting.
case "${submit[*]-} ${SPARK_SUBMIT_OPTS:-} ${JAVA_TOOL_OPTIONS:-} $(cat "${SPARK_CONF_DIR:-${SPARK_HOME:-/nowhere}/conf}/spark-defaults.conf" 2>/dev/null || true)" in
    *-XX:+Use*GC*) ;;
    *) SPARK_SUBMIT_OPTS="-XX:+UseParallelGC ${SPARK_SUBMIT_OPTS:-}" ;;
esac
# Java's second compiler costs more time than a small job takes: it waits for code that runs millions of times. What the
# first one makes needs more of the stack.
case "${submit[*]-} ${SPARK_SUBMIT_OPTS:-} ${JAVA_TOOL_OPTIONS:-}" in
    *-XX:*Tier*) ;;
    *) SPARK_SUBMIT_OPTS="-Xss4m -XX:Tier4InvocationThreshold=1000000 -XX:Tier4MinInvocationThreshold=120000 \
-XX:Tier4CompileThreshold=3000000 -XX:Tier4BackEdgeThreshold=8000000 ${SPARK_SUBMIT_OPTS:-}" ;;
esac
export SPARK_SUBMIT_OPTS="-Dlog4j2.configurationFile=file:$home/conf/log4j2.properties ${SPARK_SUBMIT_OPTS:-}"
case " ${submit[*]-} ${MASTER:-} " in
    *--master*|*spark://*|*yarn*|*k8s*) ;;
    *) export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1} ;; # one machine: no need to be heard outside
esac
# A BLAS thread per task: the cores are busy with tasks already.
export OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}

if [ -n "${SPARK_HOME:-}" ]; then
    program=$SPARK_HOME/bin/spark-submit
else
    unset SPARK_HOME
    program=$(dirname "$PYTHON")/spark-submit
fi
[ -x "$program" ] || die "$program does not exist; set SPARK_HOME to a Spark 3.5 or 4 installation, or unset it."
[ -t 2 ] && export RECOMMENDER_TERMINAL=1
exec "$program" ${submit[@]+"${submit[@]}"} "$home/jobs/$job.py" ${arguments[@]+"${arguments[@]}"}
