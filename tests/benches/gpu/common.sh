# shellcheck shell=bash disable=SC2034,SC2154
# What the scripts of the bundles share: how much time is left, steps of it, where results go, NVIDIA's libraries. To be
# sourced, with `here` (the folder of the script) and `name` (of its results) set.
#
# environment: SECONDS_LEFT (540), RESULTS (./results), PYTHON (python3), REHEARSAL (1: the processor takes the part of the
# card, with small sizes; everything else is as it will be). run_all.sh sets DEADLINE, and then results are added up.
python=${PYTHON:-python3}
deadline=${DEADLINE:-$(( $(date +%s) + ${SECONDS_LEFT:-540} ))}
results=${RESULTS:-$PWD/results}
mkdir -p "$results"
# Every line is there as soon as it is said: whoever stops this script loses nothing.
log=$results/$name.tsv
if [ -z "${DEADLINE:-}" ]; then : > "$log"; fi
touch "$log"
place=()
if [ "${REHEARSAL:-0}" = 1 ]; then place=(--on cpu); fi

note() { printf 'note\t%s\n' "$*" | tee -a "$log"; }

# step WHAT SECONDS COMMAND…: runs a command for as long as it may and there is time; what it says goes to the log. Its
# status, 124 where time was over.
step() {
    local what=$1 most=$2 rest status
    shift 2
    rest=$(( deadline - $(date +%s) ))
    if [ "$rest" -lt 5 ]; then
        printf 'missing\t%s\tthe time is over\n' "$what" | tee -a "$log"
        return 124
    fi
    [ "$rest" -lt "$most" ] && most=$rest
    timeout -k 5 "$most" "$@" 2>> "$results/$name.err" | tee -a "$log"
    status=${PIPESTATUS[0]}
    case $status in
        0 | 1 | 3) ;;
        124 | 137) printf 'missing\t%s\tit took more than %s s\n' "$what" "$most" | tee -a "$log" ;;
        *) printf 'missing\t%s\tit ended with %s: %s\n' "$what" "$status" "$(tail -n 1 "$results/$name.err" | cut -c1-200)" | tee -a "$log" ;;
    esac
    return "$status"
}

# Folders with the driver, cuBLAS, NVRTC and the others: the bundle's, pip's, the toolkit's, the driver's.
find_libraries() {
    local folder
    libraries=()
    while IFS= read -r folder; do
        if compgen -G "$folder/lib*.so*" > /dev/null; then libraries+=("$folder"); fi
    done < <(
        echo "$here/lib"
        "$python" -c 'import glob, site, sys
for root in site.getsitepackages() + [site.getusersitepackages()] + sys.path:
    for name in ("cu13/lib", "cublas/lib", "cuda_nvrtc/lib"):
        for folder in glob.glob(f"{root}/nvidia/{name}"):
            print(folder)' 2> /dev/null | awk 'NF && !seen[$0]++'
        printf '%s\n' /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib
        # Where the driver's folder is mounted and the loader was not told of it.
        printf '%s\n' /usr/local/nvidia/lib64 /usr/lib/x86_64-linux-gnu/nvidia/current
    )
}

machine() { # what all of this ran on
    local card
    if card=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null); then
        note "nvidia-smi: $(printf '%s' "$card" | head -n 1)"
    else
        note "no nvidia-smi here, or it finds no card"
    fi
    note "$(nproc) processors, $(uname -r), $(date -u +%Y-%m-%d)"
}

# Whether checks of these logs ran, to their end, and none of them failed.
good() {
    cat "$@" | awk -F'\t' '$1 == "check" { n++ } /^check.*WRONG/ || $1 == "error" || ($1 == "missing" && $2 ~ /^checks of/) { bad++ }
                          END { exit !n || bad }'
}

remarks() {
    echo
    awk -F'\t' '$1 == "missing" { print "- not measured: " $2 " (" $3 ")" } $1 == "note" { print "- " $2 }
                $1 == "error" { print "- error: " $2 }' "$log"
}
