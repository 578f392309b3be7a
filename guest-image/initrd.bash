# shellcheck shell=bash
# The guest's root as an initrd. Sourced by build-image.

write_initrd() {
	local root=$1 modules=$2 result=$3
	[[ -z $modules ]] || die "not yet"
	ln -s sbin/init "$root/init"
	find "$root" -exec touch -h -d @0 {} +
	(cd "$root" && find . -print0 | sort -z | cpio --quiet --null --reproducible -o -H newc -R 0:0) |
		zstd -q -19 -T1 >"$result"
}
