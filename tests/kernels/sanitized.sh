#!/usr/bin/env bash
# The kernels' tests under the address and undefined-behaviour sanitizers, in an environment of its own that borrows the
# packages of .venv. Run by `make sanitize`.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=.venv/sanitized
packages() { "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

python=$(readlink -f .venv/bin/python)
"$python" -m venv --clear "$environment"
packages .venv >"$(packages "$environment")/borrowed.pth"
"$environment/bin/pip" install --quiet --no-deps --config-settings=cmake.define.LIQUIDRNN_SANITIZE=ON \
  --config-settings=build-dir=build/sanitized .

# Python itself is not built with the sanitizers, so their runtime comes first; it never frees all it has.
export LD_PRELOAD="$("${CXX:-c++}" -print-file-name=libasan.so) $("${CXX:-c++}" -print-file-name=libubsan.so)"
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
exec "$environment/bin/python" -m pytest -p no:xdist -q tests/kernels "$@"
