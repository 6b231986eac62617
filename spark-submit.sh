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

# The folder of Spark, and what Java is started with, as far as nobody has set it: the same as by the commands of the package.
settings=$("$PYTHON" "$home/recommender/spark/launch.py" ${submit[@]+"${submit[@]}"})
eval "$settings"
program=${SPARK_HOME:-}/bin/spark-submit
[ -n "${SPARK_HOME:-}" ] || die "The environment of $PYTHON has no pyspark; set SPARK_HOME to a Spark 3.5 or 4 installation."
[ -x "$program" ] || die "$program does not exist; set SPARK_HOME to a Spark 3.5 or 4 installation, or unset it."
use_class_archive
export SPARK_SUBMIT_OPTS="${CLASS_ARCHIVE:+$CLASS_ARCHIVE }$SPARK_SUBMIT_OPTS"

# The default of PYSPARK_PYTHON is the "python3" in PATH, which may lack the packages.
export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$PYTHON} PYSPARK_DRIVER_PYTHON=${PYSPARK_DRIVER_PYTHON:-$PYTHON}
export PYTHONUNBUFFERED=1

[ -t 2 ] && export RECOMMENDER_TERMINAL=1
exec "$program" ${submit[@]+"${submit[@]}"} "$home/jobs/$job.py" ${arguments[@]+"${arguments[@]}"}
