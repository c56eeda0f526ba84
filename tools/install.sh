#!/bin/sh
# Prepare .venv at the root of the checkout: locked dependencies, then this package, editable.
# A second run costs nothing: a stamp holds the digest of what the environment was made from.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.made-from
wanted=$(cat requirements/dev.txt pyproject.toml tools/install.sh qmio_jupyter/server/qmio_jupyter.json | sha256sum | cut -d' ' -f1)
[ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ] && exit 0

python=
for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
  [ -n "$candidate" ] || continue
  if "$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || { echo "make install: Python 3.11 or newer is needed; install it, or set PYTHON=/path/to/python3." >&2; exit 1; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1; then sudo "$@"; else return 1; fi; }

# Debian ships venv apart from Python.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  echo "make install: Python's venv module is missing; installing Debian's python3-venv."
  { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; } || {
    echo "make install: install the Debian package python3-venv, then try again." >&2; exit 1; }
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "make install: preparing .venv ($("$python" --version))"
.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
# Bytecode now, once: else every process compiles its imports where nobody may, or will, write them.
if ! .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --require-hashes -r requirements/dev.txt; then
  echo "make install: uv could not install; trying pip."
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "$wanted" > "$stamp"
