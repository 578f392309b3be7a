# shellcheck shell=bash
# The guest's root as an initrd, for kernels that are not ours. Sourced by
# build-image.

# write_initrd ROOT MODULES RESULT: without modules, the kernel starts the agent
# as /init; with modules, /init is a shell script that loads them first.
write_initrd() {
	local root=$1 modules=$2 result=$3
	if [[ $modules ]]; then
		add_modules "$root" "$modules"
		install -m 0755 "$here/initrd/init" "$root/init"
	else
		ln -s sbin/init "$root/init"
	fi
	find "$root" -exec touch -h -d @0 {} +
	(cd "$root" && find . -print0 | sort -z | cpio --quiet --null --reproducible -o -H newc -R 0:0) |
		zstd -q -10 -T1 >"$result"
}

# add_modules copies the modules of initrd/modules.list with all they depend on,
# uncompressed, and writes the order in which to load them.
add_modules() {
	local root=$1 folder target=$1/usr/lib/modules/katapod base version file name order=0
	debian_need_tools modprobe:kmod
	folder=$(realpath "$2")
	[[ $folder == */lib/modules/* ]] || die "--modules needs a path that ends in lib/modules/<version>, not $2"
	base=${folder%%/lib/modules/*} version=$(basename "$folder")
	[[ -f $folder/modules.dep ]] || die "$folder has no modules.dep; make it with: depmod -b ${base:-/} $version"
	mkdir -p "$target"
	while read -r file; do
		name=$(basename "$file")
		name=${name%%.ko*}.ko
		[[ ! -e $target/$name ]] || continue
		case $file in
		*.xz) xz -dc "$file" >"$target/$name" ;;
		*.zst) zstd -qdc "$file" >"$target/$name" ;;
		*.gz) gzip -dc "$file" >"$target/$name" ;;
		*) cp "$file" "$target/$name" ;;
		esac
		echo "$name" >>"$target/order"
		order=$((order + 1))
	done < <(module_files "$base" "$version")
	((order)) || die "$folder has none of the modules of guest-image/initrd/modules.list"
	say "$order modules from $folder"
}

# module_files prints the files in loading order. A module that the kernel has
# built in prints nothing; one that it lacks is told and left out.
module_files() {
	local base=$1 version=$2 module
	while read -r module; do
		PATH=$PATH:/usr/sbin:/sbin modprobe -d "${base:-/}" -S "$version" --show-depends "$module" 2>/dev/null ||
			say "kernel $version has no module $module" >&2
	done < <(grep -v '^#' "$here/initrd/modules.list") | sed -n 's/^insmod \([^ ]*\).*/\1/p'
}
