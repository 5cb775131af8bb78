#!/usr/bin/env bash
# Checks and times the k-means on this machine's CUDA card, beside what else is installed; a Markdown table on stdout.
# usage: run.sh [ROWSxDIMSxK …]       environment: ITERATIONS (5), PYTHON (python3), SECONDS_LEFT (540)
# Status: 0 all checks hold, 1 a check fails, 3 no card. No part runs on when the time is over.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
iterations=${ITERATIONS:-5}
deadline=$(( $(date +%s) + ${SECONDS_LEFT:-540} ))
[ $# -gt 0 ] || set -- 10000000x384x1024 1000000x128x1024 200000x64x100 500000x1024x4096
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Folders with NVRTC and cuBLAS: ours, pip's, the toolkit's.
folders=()
if compgen -G "$here/lib/libnvrtc.so*" > /dev/null; then folders+=("$here/lib"); fi
while IFS= read -r folder; do
    if compgen -G "$folder/lib*.so*" > /dev/null; then folders+=("$folder"); fi
done < <("$python" -c 'import site, sys, glob
for root in site.getsitepackages() + [site.getusersitepackages()] + sys.path:
    for name in ("cu13/lib", "cublas/lib", "cuda_nvrtc/lib"):
        print(*glob.glob(f"{root}/nvidia/{name}"), sep="\n")' 2> /dev/null | awk 'NF && !seen[$0]++')
for folder in /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib; do
    if [ -d "$folder" ]; then folders+=("$folder"); fi
done
options=()
for folder in ${folders[@]+"${folders[@]}"}; do options+=(--libraries "$folder"); done

left() { local rest=$(( deadline - $(date +%s) )); if [ "$rest" -gt 0 ]; then echo "$rest"; else echo 0; fi; }
bounded() { # runs a command for as long as there is time
    local rest; rest=$(left)
    if [ "$rest" -lt 5 ]; then printf 'missing\t%s\tthe time is over\n' "$1" >> "$log"; return 0; fi
    shift
    timeout "$rest" "$@" >> "$log" 2> >(tail -n 5 >&2)
}

bounded check "$here/kmeans_card" check ${options[@]+"${options[@]}"}
status=$?
if [ "$status" -eq 3 ]; then
    awk -F'\t' '$1 == "unavailable" { print "no card: " $2 "; " $3 }' "$log"
    exit 3
fi
for shape in "$@"; do
    IFS=x read -r rows dims k <<< "$shape"
    bounded "mlk8s $shape" "$here/kmeans_card" time "$rows" "$dims" "$k" "$iterations" ${options[@]+"${options[@]}"} \
        || printf 'missing\tmlk8s %s\tit failed or the time is over\n' "$shape" >> "$log"
    PYTHONPATH="$here/python${PYTHONPATH:+:$PYTHONPATH}" bounded "peers $shape" "$python" "$here/peers.py" "$rows" "$dims" "$k" "$iterations" \
        || printf 'missing\tpeers %s\tthey failed or the time is over\n' "$shape" >> "$log"
done

echo "## K-means on a CUDA card"
echo
awk -F'\t' '$1 == "device" && !n++ { print $2 ", " $3 ", " $4 }' "$log"
echo "$(date -u +%Y-%m-%d), $(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2> /dev/null | head -n 1 | sed 's/^/driver /')"
echo
echo "| check | precision | inertia against plain code | same bits twice | streamed alike | |"
echo "|---|---|---|---|---|---|"
awk -F'\t' '$1 == "check" { print "| " $2 " | " $3 " | " $4 " | " $6 " | " $7 " | " $5 " |" }' "$log"
echo
echo "| shape | system | ms an iteration | TFLOP/s | cuBLAS here, TFLOP/s | share | whole fit, s |"
echo "|---|---|---|---|---|---|---|"
awk -F'\t' '$1 == "time" { print "| " $2 " | " $3 " | " $4 " | " $5 " | " $6 " | " $7 " | " $8 " |" }' "$log"
echo
awk -F'\t' '$1 == "missing" { print "- not measured: " $2 " (" $3 ")" } $1 == "note" { print "- " $2 } $1 == "error" { print "- error: " $2 }' "$log"
# Checks that did not run hold nothing.
if [ "$status" -ne 0 ] || ! grep -q '^check' "$log" || grep -q WRONG "$log"; then exit 1; fi
