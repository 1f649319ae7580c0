#!/usr/bin/env bash
# The portable kernels compiled for another processor, and run under emulation: against plain loops, see portable.cpp. For
# 64-bit ARM, whose vectors they use, on Debian: apt-get install g++-aarch64-linux-gnu qemu-user-static
#
#     tests/kernels/portable.sh                         # for 64-bit ARM
#     CXX=c++ EMULATOR= tests/kernels/portable.sh       # for this processor
set -euo pipefail
cd "$(dirname "$0")/../.."
compiler=${CXX:-aarch64-linux-gnu-g++} emulator=${EMULATOR-qemu-aarch64-static}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
# Flags as in cpp/CMakeLists.txt; a static program needs none of the other processor's libraries.
"$compiler" -std=c++17 -Icpp -DLIQUID_ISA=portable -O3 -fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-psabi -Werror \
  ${emulator:+-static} -pthread cpp/kernels.cpp cpp/memory.cpp cpp/threads.cpp tests/kernels/portable.cpp -o "$folder/portable"
$emulator "$folder/portable"
