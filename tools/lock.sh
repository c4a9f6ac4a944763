#!/bin/sh
# Pin the Python dependencies: compile pyproject.toml into the three lock files.
#
# The lock files build on each other, so that a package has one version in all of them. They are
# compiled with the oldest supported Python: what it can install, the newer ones can too, while
# the newest release of a package may no longer support the oldest Python.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3.11}
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
	echo "lock: $python is not Python 3.11, the oldest one supported; name one:" \
		"make lock PYTHON=/path/to/python3.11" >&2
	exit 1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet pip-tools

"$python" - >"$scratch/build.in" <<'EOF'
import tomllib
with open("pyproject.toml", "rb") as file:
    print("\n".join(tomllib.load(file)["build-system"]["requires"]))
EOF

# compile NAME ARGUMENT... - the present lock file is the starting point, so only what must change
# changes; `make lock UPGRADE=1` moves everything to the newest release.
compile() {
	name=$1
	shift
	echo "lock: compiling $name"
	sed '/^#/d' "$name" >"$scratch/$name" 2>/dev/null || true
	"$scratch/venv/bin/pip-compile" --quiet --generate-hashes --strip-extras --allow-unsafe \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host ${UPGRADE:+--upgrade} -o "$scratch/$name" "$@"
	{
		echo "# Made by 'make lock' from pyproject.toml; not to be edited by hand."
		sed '/^#/d;/^$/d' "$scratch/$name"
	} >"$scratch/finished"
	cp "$scratch/finished" "$name"
}

compile requirements-build.lock "$scratch/build.in"
compile requirements.lock pyproject.toml -c requirements-build.lock
compile requirements-dev.lock pyproject.toml --extra dev -c requirements.lock
