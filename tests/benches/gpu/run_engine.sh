#!/usr/bin/env bash
# Checks and times the decoder for GPUs on this machine's CUDA card; a Markdown table on stdout.
# usage: run_engine.sh      environment: SECONDS_LEFT (540), FOLDER (a temporary one; takes 17 GB)
# Status: 0 all checks hold, 1 a check fails, 3 no card. Targets that are missed are shown, and are no failure. No part
# runs on when the time is over.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deadline=$(( $(date +%s) + ${SECONDS_LEFT:-540} ))
log=$(mktemp)
model=${FOLDER:-$(mktemp -d)}/random-8b
trap 'rm -rf "$log" "$model"' EXIT

# Libraries of the toolkit, and those that pip has installed.
folders=()
for folder in /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib; do
    if [ -d "$folder" ]; then folders+=("$folder"); fi
done
while IFS= read -r folder; do folders+=("$folder"); done < <(python3 -c 'import glob, site
for root in site.getsitepackages() + [site.getusersitepackages()]:
    for folder in glob.glob(f"{root}/nvidia/cu13/lib"):
        print(folder)' 2> /dev/null)
LD_LIBRARY_PATH=$(IFS=:; echo "${folders[*]-}")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

bounded() { # runs a command for as long as there is time
    local rest=$(( deadline - $(date +%s) ))
    if [ "$rest" -lt 5 ]; then printf 'missing\t%s\tthe time is over\n' "$1" >> "$log"; return 1; fi
    shift
    timeout "$rest" "$@" >> "$log" 2> >(tail -n 5 >&2)
}

if ! missing=$(ldd "$here/engine_card" 2> /dev/null | awk '/not found/ { print $1 }' | paste -sd' ') || [ -n "$missing" ]; then
    echo "no card: libraries are missing: $missing; the driver has libcuda, a CUDA 13 toolkit the others"
    exit 3
fi
bounded "the checks" "$here/engine_card" check
status=$?
if [ "$status" -eq 3 ]; then
    awk -F'\t' '$1 == "unavailable" { print "no card: " $2 }' "$log"
    exit 3
fi
bounded "the times" "$here/engine_card" time "$model" || printf 'note\ta target is missed, a part failed or the time is over\n' >> "$log"

echo "## The decoder on a CUDA card"
echo
awk -F'\t' '$1 == "device" && !n++ { print $2 }' "$log"
echo "$(date -u +%Y-%m-%d), $(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2> /dev/null | head -n 1 | sed 's/^/driver /')"
echo
echo "| model | weights | row in the middle off by | worst row | |"
echo "|---|---|---|---|---|"
awk -F'\t' '$1 == "check" { print "| " $2 " | " $3 " | " $4 " | " $5 " | " $6 " |" }' "$log"
echo
echo "| shape of Qwen3-8B, random bf16 | | target |"
echo "|---|---|---|"
awk -F'\t' '$1 == "time" { print "| " $2 " | " $3 " " $4 " | " $5 " |" }' "$log"
echo
awk -F'\t' '$1 == "missing" { print "- not measured: " $2 " (" $3 ")" } $1 == "note" { print "- " $2 } $1 == "error" { print "- error: " $2 }' "$log"
# Checks that did not run hold nothing.
if [ "$status" -ne 0 ] || ! grep -q '^check' "$log" || grep -q WRONG "$log"; then exit 1; fi
