# Runs the notebook, then writes what it left behind into the log, packed, between marks that carry the pod's own number.
set -u
"$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM
wait "$child"
code=$?
# A signal ends the waiting, not the notebook.
if [ "$code" -gt 128 ] && kill -0 "$child" 2>/dev/null; then
    wait "$child"
    code=$?
fi
cd "$MLK8S_OUT" || exit 1
if [ -n "${MLK8S_KEEP:-}" ]; then
    mkdir -p "$MLK8S_KEEP" && cp -R . "$MLK8S_KEEP/" || code=1
fi
total=0
find . -type f | sort | {
    while IFS= read -r file; do
        gzip -nc "$file" > "$MLK8S_PACKED"
        size=$(wc -c < "$MLK8S_PACKED")
        total=$((total + size))
        if [ "$total" -gt "$MLK8S_MOST" ]; then
            printf '::mlk8s %s big %s\n' "$MLK8S_MARK" "${file#./}"
            total=$((total - size))
            continue
        fi
        printf '::mlk8s %s begin %s\n' "$MLK8S_MARK" "${file#./}"
        # Each line costs the machine's log some forty bytes more.
        base64 -w 8000 < "$MLK8S_PACKED"
        echo "::mlk8s $MLK8S_MARK end"
    done
    echo "::mlk8s $MLK8S_MARK done"
}
exit "$code"
