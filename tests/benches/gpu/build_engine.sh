#!/usr/bin/env bash
# Makes a bundle that checks and times the decoder and the encoders for GPUs on a machine with a CUDA card; needs no card.
# usage: build_engine.sh [DEST.tar.xz]      environment: LIMIT_MB (60), CARGO_TARGET_DIR
# NVIDIA's compiler is the one that `cargo devbox build cuda` has fetched. In the bundle: the programs and the scripts, also
# run_all.sh, which runs the k-means of the other bundle, too. The driver, cuBLAS, cuRAND, NVRTC and cudart are the
# machine's own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dest=${1:-$PWD/engine-card.tar.xz}
limit=$(( ${LIMIT_MB:-60} * 1000 * 1000 ))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/engine-card
mkdir -p "$bundle"

cd "$here/../../.."
toolkit=${MLK8S_CUDA_TOOLKIT:-${MLK8S_STATE:-$PWD/.mlk8s}/cuda/nvidia/cu13}
if [ ! -x "$toolkit/bin/nvcc-more" ]; then
    echo "NVIDIA's compiler is not in $toolkit: \`cargo devbox build cuda\` fetches it" >&2
    exit 1
fi
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/cuda
# With the packages that `cargo devbox build cuda` builds, so that what they share is built once.
CUDA_HOME=$toolkit CUDA_PATH=$toolkit NVCC=$toolkit/bin/nvcc-more CUDA_COMPUTE_CAP=80 CUDARC_CUDA_VERSION=13000 \
    cargo build --quiet --package mlk8s-worker --package mlk8s-generate --package mlk8s-engine \
    --bin mlk8s-engine-card --bin mlk8s-encoders-card \
    --features mlk8s-worker/cuda,mlk8s-generate/cuda,mlk8s-engine/cuda --target-dir "$target"
for program in engine_card encoders_card; do
    cp "$target/debug/mlk8s-${program/_/-}" "$bundle/$program"
    strip "$bundle/$program"
done
cp "$here"/{run_engine,run_all,common}.sh "$here/peers_encoders.py" "$bundle/"

# Start here, where there may be no card: they say so with status 3, and do not crash.
for program in "engine_card check" "encoders_card check $work/models"; do
    status=0
    # shellcheck disable=SC2086
    "$bundle"/$program > "$work/start.log" 2>&1 || status=$?
    if [ "$status" -ne 3 ]; then
        cat "$work/start.log" >&2
        echo "\`$program\` does not start, or does not say that there is no card" >&2
        exit 1
    fi
done
rm -rf "$work/models"

tar -C "$work" -cf - engine-card | xz -3 -T0 > "$dest"
size=$(stat -c %s "$dest")
[ "$size" -le "$limit" ] || { echo "the bundle has $size bytes, more than $limit" >&2; exit 1; }
echo "$dest: $size bytes"
