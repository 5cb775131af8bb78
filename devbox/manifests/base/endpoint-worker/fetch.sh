#!/bin/sh
# Fetches the files of a model from the hub into MODEL_DIR, once. A line that breaks goes on where it broke, after a
# restart of the pod, too; what the hub does not have, or does not give, ends it at once.
set -eu

fetch() {
    curl --fail --location --silent --show-error --retry 5 --retry-connrefused --continue-at - \
        ${HF_TOKEN:+--header "Authorization: Bearer $HF_TOKEN"} --output "$MODEL_DIR/$1.part" \
        "${HF_ENDPOINT:-https://huggingface.co}/$MODEL/resolve/$MODEL_REVISION/$1"
}

mkdir -p "$MODEL_DIR"
for file in $MODEL_FILES; do
    if [ -e "$MODEL_DIR/$file" ]; then
        echo "$file is there"
        continue
    fi
    echo "fetching $file"
    attempt=1
    until fetch "$file"; do
        status=$?
        if [ "$status" = 22 ] || [ "$attempt" = 8 ]; then
            echo "error: $file of $MODEL cannot be fetched" >&2
            exit "$status"
        fi
        sleep "$attempt"
        attempt=$((attempt + 1))
    done
    mv "$MODEL_DIR/$file.part" "$MODEL_DIR/$file"
done
