#!/usr/bin/env bash
# Makes an image archive for `docker load` from Debian packages and files, and prints the image's id. Needs root,
# mmdebstrap and Python 3. The machine's own package sources are used, so that no other one has to be trusted.
set -euo pipefail
umask 022

usage() {
    cat <<'END'
usage: debian_image.sh OUTPUT.tar NAME:TAG [--package NAME]… [--file SOURCE=/PATH/IN/IMAGE]… [--env NAME=VALUE]…

The image has a shell, coreutils and the packages. Nothing of them was configured or run: it is for programs that need
files alone, as solvers do. Docker loads it with: docker load --input OUTPUT.tar
END
}

[ $# -ge 2 ] || { usage >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
output=$1 name=$2
shift 2
packages=base-files,dash,coreutils
files=() env=()
while [ $# -gt 0 ]; do
    case $1 in
        --package) packages+=,$2 ;;
        --file) files+=("$2") ;;
        --env) env+=(--env "$2") ;;
        *) usage >&2; exit 2 ;;
    esac
    shift 2
done

sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
    [ ! -s "$file" ] || ! grep -qE '^[^#]' "$file" || sources+=("$file")
done
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

hooks=('--extract-hook=mkdir -p "$1/work"')
for file in ${files[@]+"${files[@]}"}; do
    mkdir -p "$work/files/$(dirname "${file#*=}")"
    install -m 755 "${file%%=*}" "$work/files/${file#*=}"
done
[ ! -d "$work/files" ] || hooks+=("--extract-hook=cp -a \"$work/files/.\" \"\$1/\"")
# Times of the archive are what makes one build differ from the next.
SOURCE_DATE_EPOCH=0 mmdebstrap --quiet --variant=extract --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "${hooks[@]}" "$suite" "$work/layer.tar" "${sources[@]}" >&2
python3 "$here/pack_image.py" "$work/layer.tar" "$work/image.tar" --name "$name" ${env[@]+"${env[@]}"}
mv "$work/image.tar" "$output"
