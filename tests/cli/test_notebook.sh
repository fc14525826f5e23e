#!/usr/bin/env bash
# The notebook, executed by nbclient on the smoke configuration with the binary under test.
set -u
BIN=$(realpath "${1:?the echoquant binary}")
SOURCE=$(realpath "${2:?the source folder}")
TMP=$(mktemp -d "${TMPDIR:-/tmp}/echoquant-notebook-XXXXXX")
trap 'rm -rf "$TMP"' EXIT

# .venv is what scripts/test.sh makes from requirements.txt.
PYTHON=$(python_with 'import nbclient, nbformat, ipykernel, pandas, matplotlib')
if [ -z "$PYTHON" ]; then
    echo "skipped: no Python here has the packages of requirements.txt (scripts/test.sh puts them into .venv)"
    exit 77
fi

export ECHOQUANT_BINARY=$BIN ECHOQUANT_CONFIG=$SOURCE/configs/smoke.json ECHOQUANT_WORK=$TMP
export IPYTHONDIR=$TMP/ipython JUPYTER_RUNTIME_DIR=$TMP/jupyter MPLCONFIGDIR=$TMP/matplotlib
cd "$SOURCE/notebooks" || exit 1
"$PYTHON" "$SOURCE/tests/cli/notebook.py" quantization_experiments.ipynb "$TMP/executed.ipynb"
