#!/bin/bash
# twice.sh DIR: makes the packages in DIR once more, from a copy of the sources in another directory, and compares.
set -euo pipefail
packages=$(realpath "$1")
cd "$(dirname "$0")/../.."
# shellcheck source=tests/package/lib.sh
. tests/package/lib.sh
copy="$work/another directory"
mkdir "$copy"
git ls-files -z | tar --null --files-from=- -cf - | tar -C "$copy" -xf -
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
# Nothing of the first run is used: neither its objects nor the umask.
(umask 077 && env -u RELAY_PACKAGES CARGO_TARGET_DIR="$copy/target" "$copy/.ci/package" all)
for file in "$copy"/target/packages/*; do
    sha256sum "$packages/$(basename "$file")" "$file"
    cmp "$packages/$(basename "$file")" "$file" || fail "$(basename "$file") differs"
done
say "the packages are the same from two directories"
