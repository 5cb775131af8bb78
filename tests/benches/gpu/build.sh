#!/usr/bin/env bash
# Makes a bundle that checks and times the k-means on a machine with a CUDA card; needs no card, no CUDA.
# usage: build.sh [DEST.tar.xz]      environment: LIMIT_MB (60), NVRTC=yes
# In it: the program, the scripts, flash-kmeans (a pure-Python peer), and with NVRTC=yes NVRTC 13.0 where it fits, for
# machines that have a driver and cuBLAS and no NVRTC; cuBLAS never fits (423 MB), so the machine's own is used.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dest=${1:-$PWD/kmeans-card.tar.xz}
limit=$(( ${LIMIT_MB:-60} * 1000 * 1000 ))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/kmeans-card
mkdir -p "$bundle/lib"

cd "$here/../../.."
cargo build --quiet --bin mlk8s-kmeans-card
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
cp "$target/debug/mlk8s-kmeans-card" "$bundle/kmeans_card"
strip "$bundle/kmeans_card"
cp "$here/run.sh" "$here/common.sh" "$here/peers.py" "$bundle/"

# Starts here, where there may be no card: says so with status 3, and does not crash.
status=0
"$bundle/kmeans_card" check > "$work/start.log" || status=$?
if [ "$status" -ne 0 ] && [ "$status" -ne 3 ]; then
    cat "$work/start.log" >&2
    echo "the program does not start" >&2
    exit 1
fi

if python3 -m pip download -q --no-deps -d "$work/wheels" flash-kmeans; then
    python3 -m zipfile -e "$work"/wheels/flash_kmeans*.whl "$bundle/python"
else
    echo "flash-kmeans is left out: it could not be downloaded" >&2
fi

pack() { tar -C "$work" -cf - kmeans-card | xz -3 -T0 > "$dest"; stat -c %s "$dest"; }
if [ "${NVRTC:-no}" = yes ] && python3 -m pip download -q --no-deps --only-binary=:all: --platform manylinux2010_x86_64 --platform manylinux_2_12_x86_64 \
        -d "$work/nvrtc" nvidia-cuda-nvrtc==13.0.88; then
    python3 -m zipfile -e "$work"/nvrtc/*.whl "$work/nvrtc/x"
    find "$work/nvrtc/x" -name 'libnvrtc*.so*' ! -name '*.alt.*' -exec cp {} "$bundle/lib/" \;
fi
rmdir "$bundle/lib" 2> /dev/null || true
size=$(pack)
if [ "$size" -gt "$limit" ]; then
    echo "without NVRTC: with it the bundle has $size bytes" >&2
    rm -rf "${bundle:?}/lib"
    size=$(pack)
fi
[ "$size" -le "$limit" ] || { echo "the bundle has $size bytes, more than $limit" >&2; exit 1; }
echo "$dest: $size bytes"
