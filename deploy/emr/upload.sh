#!/usr/bin/env bash
# Uploads what the steps need: deploy/emr/upload.sh s3://BUCKET/recommender
set -euo pipefail
[ $# -eq 1 ] || { echo "Usage: $0 s3://BUCKET/FOLDER" >&2; exit 2; }
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
python3 -m pip wheel --quiet --no-deps --wheel-dir "$built" .
aws s3 cp "$built" "$1/wheels" --recursive
aws s3 cp jobs "$1/jobs" --recursive --exclude '*' --include '*.py'
aws s3 cp conf/production.yaml "$1/conf/production.yaml"
aws s3 cp deploy/emr/bootstrap.sh "$1/bootstrap.sh"
