#!/usr/bin/env bash
# Checks and times the k-means on this machine's CUDA card, beside what else is installed; a Markdown table at the end.
# usage: run.sh [PART …]      parts, in the order in which they are named: check, mlk8s, peers (all three)
# environment: SHAPES (ROWSxDIMSxK …), ITERATIONS (5), and what common.sh reads
# Status: 0 all checks hold, 1 a check fails or did not run, 3 no card. No part runs on when the time is over, and what was
# found is in $RESULTS/kmeans.tsv as soon as it is known.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=kmeans
# shellcheck source=common.sh
source "$here/common.sh"
[ $# -gt 0 ] || set -- check mlk8s peers
for part in "$@"; do
    case $part in
        check | mlk8s | peers) ;;
        *) echo "there is no part $part: check, mlk8s, peers" >&2; exit 2 ;;
    esac
done
iterations=${ITERATIONS:-5}
shapes=(10000000x384x1024 1000000x128x1024 500000x1024x4096 200000x64x100)
if [ -n "${DEADLINE:-}" ]; then shapes=("${shapes[@]:1}"); fi # the first has had its turn
if [ "${REHEARSAL:-0}" = 1 ]; then shapes=(20000x32x16 3000x100x10); fi
if [ -n "${SHAPES:-}" ]; then read -ra shapes <<< "$SHAPES"; fi

table() {
    {
        echo "## K-means on a CUDA card"
        echo
        awk -F'\t' '$1 == "device" && !n++ { print $2 ", " $3 ", " $4 }' "$log"
        echo
        echo "| check | precision | inertia against plain code | same bits twice | streamed alike | |"
        echo "|---|---|---|---|---|---|"
        awk -F'\t' '$1 == "check" { print "| " $2 " | " $3 " | " $4 " | " $6 " | " $7 " | " $5 " |" }' "$log"
        echo
        echo "| shape | system | ms an iteration | TFLOP/s | cuBLAS here, TFLOP/s | share | cuBLAS at this shape | share | whole fit, s |"
        echo "|---|---|---|---|---|---|---|---|---|"
        awk -F'\t' '$1 == "time" { print "| " $2 " | " $3 " | " $4 " | " $5 " | " $6 " | " $7 " | " $10 " | " $11 " | " $8 " |" }' "$log"
        remarks
    } > "$results/$name.md"
    cat "$results/$name.md"
}

machine
find_libraries
options=(${place[@]+"${place[@]}"})
for folder in ${libraries[@]+"${libraries[@]}"}; do
    options+=(--libraries "$folder")
    LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
export LD_LIBRARY_PATH

trap table EXIT
for part in "$@"; do
    if [ "$part" = check ]; then
        step "checks of the k-means" 120 "$here/kmeans_card" check "${options[@]}"
        if [ $? -eq 3 ]; then
            trap - EXIT
            awk -F'\t' '$1 == "unavailable" { print "no card: " $2 "; " $3 }' "$log"
            exit 3
        fi
        continue
    fi
    for shape in "${shapes[@]}"; do
        IFS=x read -r rows dims k <<< "$shape"
        if [ "$part" = mlk8s ]; then
            step "mlk8s $shape" 90 "$here/kmeans_card" time "$rows" "$dims" "$k" "$iterations" "${options[@]}"
        else
            PYTHONPATH="$here/python${PYTHONPATH:+:$PYTHONPATH}" step "peers $shape" 90 \
                "$python" "$here/peers.py" "$rows" "$dims" "$k" "$iterations" ${place[@]+"${place[@]}"}
        fi
    done
done
good "$log"
