#!/bin/sh
# The Lambda function's ZIP file, made where Python and C library are Lambda's. Needs docker.
#   deploy/lambda/bundle.sh build/lambda.zip           # the model of skin lesions
#   deploy/lambda/bundle.sh build/lambda.zip retina    # of another task: give the stack Task=retina as well
set -eu
zip=${1:?expected the file to write, received nothing; give build/lambda.zip}
task=${2:-skin}
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$(dirname "$zip")"
folder=$(cd "$(dirname "$zip")" && pwd)
docker run --rm --entrypoint sh --user "$(id -u):$(id -g)" --env HOME=/tmp \
    --volume "$root:/source:ro" --volume "$folder:/output" --workdir /source public.ecr.aws/lambda/python:3.12 -c '
    set -eu
    # What makes the bundle needs the packages that go into it. boto3 does not: the runtime of Lambda brings it.
    python -m venv /tmp/venv
    /tmp/venv/bin/python -m pip install --quiet -r requirements-api.txt
    /tmp/venv/bin/python -m model.server.bundle --task "$2" --output /tmp/bundle
    cp deploy/lambda/uploads.py /tmp/bundle/
    /tmp/venv/bin/python -c "import shutil, sys; shutil.make_archive(sys.argv[1], \"zip\", \"/tmp/bundle\")" "/output/$1"
' bundle "$(basename "$zip" .zip)" "$task"
echo "$zip"
