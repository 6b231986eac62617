#!/usr/bin/env bash
# Packs Python's environment for EMR Serverless: deploy/emr/environment.sh s3://BUCKET/FOLDER
# Run it on Amazon Linux 2023 with Python 3.11, the system of EMR 7: the packages have compiled parts.
set -euo pipefail
[ $# -eq 1 ] || { echo "Usage: $0 s3://BUCKET/FOLDER" >&2; exit 2; }
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
python3.11 -m venv --copies "$built/environment"
"$built/environment/bin/pip" install --quiet . 'numpy<2' 'pandas<2.3' venv-pack
cp conf/production.yaml "$built/environment/production.yaml"
"$built/environment/bin/venv-pack" --prefix "$built/environment" --output "$built/environment.tar.gz"
aws s3 cp "$built/environment.tar.gz" "$1/environment.tar.gz"
