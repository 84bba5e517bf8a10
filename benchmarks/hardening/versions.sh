#!/bin/sh
# Run the tests with the lowest or the newest versions of the libraries that pyproject.toml admits,
# in an environment of its own, and add the outcome to benchmarks/results/versions.json:
#
#   sh benchmarks/hardening/versions.sh lowest [python3.12]
#   sh benchmarks/hardening/versions.sh newest
#
# Where the index has PyTorch for CUDA only, UV_TORCH_BACKEND=cpu takes the smaller build for the CPU.
set -eu
case "${1:-}" in
  lowest) resolution=lowest-direct ;;
  newest) resolution=highest ;;
  *) echo "usage: $0 lowest|newest [PYTHON]" >&2; exit 2 ;;
esac
folder=.venv-$1
"${2:-python3}" -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet uv
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --resolution "$resolution" \
  --editable '.[dev]'
code=0
"$folder/bin/python" -m pytest --junitxml "$folder/tests.xml" || code=$?
"$folder/bin/python" -m benchmarks.hardening.versions "$1" "$folder/tests.xml"
exit $code
