#!/usr/bin/env bash
# Bootstrap action of an EMR 7 cluster: Python 3.11 with the package, on every node. Its argument is s3://BUCKET/FOLDER.
# pyspark is not installed: the cluster has Spark.
set -euo pipefail
sudo dnf install -y -q python3.11 python3.11-pip
aws s3 cp "$1/wheels" /tmp/recommender-wheels --recursive
sudo python3.11 -m pip install --quiet --no-cache-dir /tmp/recommender-wheels/*.whl 'numpy<2' 'pandas<2.3'
