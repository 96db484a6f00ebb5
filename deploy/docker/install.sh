#!/bin/sh
# Installs one service into a new virtual environment: what it needs at the locked versions and hashes, then our own
# packages. Nothing of the other services comes along.
#
#   usage, from the root of the repository: deploy/docker/install.sh <service> <environment to create>
set -eu

if [ $# -ne 2 ] || [ ! -f "services/$1/pyproject.toml" ]; then
    echo "usage: $0 <service> <environment>: <service> is a folder of services/, run from the repository's root" >&2
    exit 64
fi
service=$1
environment=$2
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

# `muster` and `rotc` are ours: --no-emit-package keeps the resolver from ever asking an index for those names.
uv pip compile --quiet --no-header --constraints requirements.lock \
    --no-emit-package muster --no-emit-package rotc \
    --python "$(command -v python3)" --output-file "$parts/requirements.txt" "services/$service/pyproject.toml"

ours="services/$service"
for package in muster rotc; do
    # The resolver lists what it was told to leave out, if the service needs it, in comments.
    if grep --quiet --line-regexp "# $package" "$parts/requirements.txt"; then ours="$ours shared/$package"; fi
done
for package in $ours; do
    uv build --quiet --wheel --build-constraints deploy/docker/build.lock --require-hashes \
        --python "$(command -v python3)" --out-dir "$parts/wheels" "$package"
done

uv venv --quiet --python "$(command -v python3)" "$environment"
# --require-hashes refuses whatever the lock does not name: a forgotten `make lock` fails here, not in production.
uv pip install --quiet --python "$environment/bin/python" --compile-bytecode --no-deps --require-hashes \
    --constraints requirements.lock --requirements "$parts/requirements.txt"
uv pip install --quiet --python "$environment/bin/python" --compile-bytecode --no-deps --no-index "$parts"/wheels/*.whl
uv pip check --quiet --python "$environment/bin/python"
