#!/usr/bin/env bash
# Checks and times the decoder and the encoders for GPUs on this machine's CUDA card; a Markdown table at the end.
# usage: run_engine.sh [PART …]      parts, in the order in which they are named: check, quantised, encoders, time, texts,
#   peers (all but quantised, which check does, too)
#   check     logits of tiny decoders of every family against those of the processor, and quantised weights
#   quantised only the quantised weights of these: products and logits against those of the same weights in floats
#   encoders  vectors of encoders of every family against those of the processor
#   time      a random model of 8 billion weights: tokens a second
#   texts     texts a second through encoders
#   peers     the same encoders in transformers on torch, where that is installed: vectors and texts a second
# environment: FOLDER (a temporary one; takes 20 GB), and what common.sh reads
# Status: 0 all checks hold, 1 a check fails or did not run, 3 no card. Targets that are missed are shown, and are no
# failure. No part runs on when the time is over, and what was found is in $RESULTS/engine.tsv as soon as it is known.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=engine
# shellcheck source=common.sh
source "$here/common.sh"
[ $# -gt 0 ] || set -- check encoders time texts peers
for part in "$@"; do
    case $part in
        check | quantised | encoders | time | texts | peers) ;;
        *) echo "there is no part $part: check, quantised, encoders, time, texts, peers" >&2; exit 2 ;;
    esac
done
if [ -n "${FOLDER:-}" ]; then
    folder=$FOLDER
    mkdir -p "$folder"
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi

table() {
    {
        echo "## Decoder and encoders on a CUDA card"
        echo
        awk -F'\t' '$1 == "device" && !n++ { print $2 }' "$log"
        echo
        echo "| model | | row in the middle off by, or worst number | worst row, or least cosine | |"
        echo "|---|---|---|---|---|"
        awk -F'\t' '$1 == "check" { print "| " $2 " | " $3 " | " $4 " | " $5 " | " $6 " |" }' "$log"
        echo
        echo "| what (shape of Qwen3-8B, random bf16; encoders as is said) | | target, or the processor beside it |"
        echo "|---|---|---|"
        awk -F'\t' '$1 == "time" { print "| " $2 " | " $3 " " $4 " | " $5 " |" }' "$log"
        remarks
    } > "$results/$name.md"
    cat "$results/$name.md"
}

machine
find_libraries
LD_LIBRARY_PATH=$(IFS=:; echo "${libraries[*]-}")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
finish() { table; [ -n "${FOLDER:-}" ] || rm -rf "$folder"; }
trap finish EXIT
no_card() {
    trap - EXIT
    [ -n "${FOLDER:-}" ] || rm -rf "$folder"
    awk -F'\t' '$1 == "unavailable" && !n++ { print "no card: " $2 }' "$log"
    exit 3
}
models=$folder/encoders
mkdir -p "$models"
for part in "$@"; do
    case $part in
        check) step "checks of decoders" 150 "$here/engine_card" check ${place[@]+"${place[@]}"} ;;
        quantised) step "checks of quantised weights" 60 "$here/engine_card" quantised ${place[@]+"${place[@]}"} ;;
        encoders) step "checks of encoders" 120 "$here/encoders_card" check "$models" ${place[@]+"${place[@]}"} ;;
        time) step "the decoder's times" 170 "$here/engine_card" time "$folder/random-8b" ${place[@]+"${place[@]}"} ;;
        texts) step "texts a second" 80 "$here/encoders_card" time "$models" ${place[@]+"${place[@]}"} ;;
        peers) step "peers of the encoders" 80 "$python" "$here/peers_encoders.py" "$models" ${place[@]+"${place[@]}"} ;;
    esac
    status=$?
    [ "$status" -ne 3 ] || no_card
    if [ "$part" = time ]; then
        rm -rf "$folder/random-8b"
        [ "$status" -ne 1 ] || note "a target is missed, or a part failed"
    fi
done
good "$log"
