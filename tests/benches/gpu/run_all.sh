#!/usr/bin/env bash
# Everything on one machine with a card, in less than ten minutes: what must be right first, then the figures that people
# ask for, then what is nice to know. Both bundles are unpacked side by side: engine-card/, kmeans-card/.
# usage: run_all.sh
# environment: SECONDS_LEFT (570), FOLDER (else a temporary one, removed at the end; takes 20 GB), and what common.sh reads
# Status: 0 all checks hold, 1 one fails or did not run, 3 no card.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kmeans=$here/../kmeans-card
export DEADLINE=$(( $(date +%s) + ${SECONDS_LEFT:-570} ))
export RESULTS=${RESULTS:-$PWD/results}
rm -f "$RESULTS"/{engine,kmeans}.{tsv,err,md}
if [ -z "${FOLDER:-}" ]; then
    FOLDER=$(mktemp -d) || exit
    trap 'rm -rf "$FOLDER"' EXIT
fi
export FOLDER
"$here/run_engine.sh" check encoders
[ $? -ne 3 ] || exit 3
"$kmeans/run.sh" check
"$here/run_engine.sh" time
large=10000000x384x1024
if [ "${REHEARSAL:-0}" = 1 ]; then large=20000x32x16; fi
SHAPES=${SHAPES:-$large} "$kmeans/run.sh" mlk8s
"$here/run_engine.sh" texts
SHAPES=${SHAPES:-$large} "$kmeans/run.sh" peers
"$here/run_engine.sh" peers
SHAPES=${MORE_SHAPES:-} "$kmeans/run.sh" mlk8s peers
grep -q '^check' "$RESULTS/kmeans.tsv" || exit 1
# shellcheck source=common.sh
name=engine source "$here/common.sh"
good "$RESULTS/engine.tsv" "$RESULTS/kmeans.tsv"
