#!/usr/bin/env bash
# deb.bash FOLDER FILE VERSION: makes the Debian package FILE of what is installed in FOLDER. It depends on the packages here
# that have the libraries of the tools, in these versions or newer ones: it is made on each release that it is for.
set -euo pipefail
export LC_ALL=C
folder=$1 file=$2 version=$3
tools=("$folder"/usr/bin/*)

# the package of a library; its files may be listed under /lib, which is /usr/lib
owner() {
	local path
	path=$(realpath "$1")
	{ dpkg-query -S "$path" 2>/dev/null || dpkg-query -S "${path#/usr}"; } | sed 's/:.*//; q'
}

# what the tools are linked with, but not what a library itself needs, which its own package says; and what they load by name
linked=$(readelf -d "${tools[@]}" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u)
loaded=$(readelf -W -p .rodata "${tools[@]}" | sed -nE 's/.*\] +(lib[a-z0-9-]+\.so\.[0-9]+)$/\1/p' | sort -u)
depends=$({
	ldd "${tools[@]}" | awk '$2 == "=>" { print $1, $3 }' | sort -u | join -o 1.2 - <(echo "$linked")
	/sbin/ldconfig -p | awk '{ print $1, $NF }' | sort -u | join -o 1.2 - <(echo "$loaded")
} | while read -r path; do
	package=$(owner "$path")
	# without Debian's revision and what builds add to it
	dpkg-query -W -f='${Package} (>= ${Version})\n' "$package" | sed -E 's/-[^-]*\)$/)/'
done | sort -u | paste -sd , | sed 's/,/, /g')

mkdir -p "$folder/DEBIAN"
cat >"$folder/DEBIAN/control" <<END
Package: recpipe
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: the recpipe authors
Installed-Size: $(du -sk "$folder/usr" | cut -f 1)
Depends: $depends
Recommends: zstd
Section: science
Priority: optional
Description: sequential recommendation as Unix filters
 From tables of who met what and when to models of what comes next, to
 recommendations, and to figures that can be compared: six filters that
 exchange tar archives of arrays, compressed by zstd.
END
dpkg-deb --root-owner-group --build "$folder" "$file"
