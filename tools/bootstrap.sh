#!/bin/sh
# Find a Python that is new enough and hand over to bootstrap.py.
#
# $PYTHON, when set, is the only candidate. Otherwise the project's own environment comes first, so
# that a later `make` does not change the interpreter under it because PATH changed.
set -u
cd "$(dirname "$0")/.." || exit 1

new_enough() {
	"$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
	candidates=$PYTHON
else
	candidates=".venv/bin/python python3 python3.13 python3.12 python3.11"
fi

for python in $candidates; do
	if new_enough "$python"; then
		exec "$python" tools/bootstrap.py "$@"
	fi
done

echo "setup: no Python 3.11 or newer among: $candidates." \
	"Install one, or name it: make PYTHON=/path/to/python3" >&2
exit 1
