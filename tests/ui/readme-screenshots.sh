#!/usr/bin/env bash
# Puts two photographs of the last run of `tests/run.sh ui` where README.md shows
# them, in a palette of their own, which is a fraction of the size.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
FROM=$ROOT/target/screenshots
TO=$ROOT/assets/screenshots
MOST=150000

# Each of README.md's, and the photograph that it is.
SHOWN=(vms=vms-light-1440 console=readme-console)

if ! command -v pngquant >/dev/null; then
    echo "pngquant is not installed: apt-get install pngquant" >&2
    exit 1
fi
mkdir -p "$TO"
for pair in "${SHOWN[@]}"; do
    file=$TO/${pair%%=*}.png
    pngquant --force --strip --speed 1 --quality 80-100 --output "$file" "$FROM/${pair#*=}.png"
    size=$(stat -c %s "$file")
    if [ "$size" -gt "$MOST" ]; then
        echo "$file takes $size bytes, more than $MOST" >&2
        exit 1
    fi
    echo "$file: $size bytes"
done
