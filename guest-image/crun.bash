# shellcheck shell=bash
# The OCI runtime of the guest, crun, from Debian's source and linked statically:
# each start and exec of a container runs it two to four times, and most of what
# Debian's own program does then is to load twelve libraries (80 of 110 ms in an
# emulated guest). Without systemd and CRIU, which the guest has no use for.
# Kept in the cache under a hash of what it is made from. Sourced by build-image.

crun_mirror_path=pool/main/c/crun

crun_key() {
	{
		gcc --version | head -n 1
		dpkg-query -W -f '${Package} ${Version}\n' libseccomp-dev libcap-dev libc6-dev
		cat "$here/crun.version" "$here/crun.bash"
	} | sha256sum | cut -c1-16
}

# apt-helper uses the machine's proxy settings as apt does. The checksum is what
# makes the source Debian's.
fetch_crun() {
	local version=$1 sum=$2 archive=$3
	local mirror=${KATAPOD_DEBIAN_MIRROR:-http://deb.debian.org/debian}
	say "fetching the source of crun $version"
	/usr/lib/apt/apt-helper -qq -o APT::Sandbox::User="$(id -un)" download-file "$mirror/$crun_mirror_path/crun_$version.orig.tar.gz" "$archive" "SHA256:$sum" >&2 ||
		die "cannot download crun $version from $mirror; check the network, or set KATAPOD_DEBIAN_MIRROR"
}

compile_crun() {
	local source=$1 log=$2
	(
		cd "$source"
		nice ./configure --disable-systemd --disable-criu --disable-dl --disable-shared --enable-embedded-yajl \
			CFLAGS="-O2 -ffunction-sections -fdata-sections -ffile-prefix-map=$source=."
		nice make -j"$(nproc)" LDFLAGS="-all-static -Wl,--gc-sections -Wl,--build-id=none"
	) >"$log" 2>&1 || {
		tail -n 30 "$log" >&2
		die "crun does not compile; the whole log is $log"
	}
}

# built_crun prints the path of the program.
built_crun() {
	local version sum result work
	debian_need_tools gcc:gcc make:make pkg-config:pkg-config python3:python3-minimal \
		/usr/include/seccomp.h:libseccomp-dev /usr/include/sys/capability.h:libcap-dev /usr/include/stdio.h:libc6-dev
	read -r version sum < <(grep -v '^#' "$here/crun.version")
	result=$katapod_cache/crun/$(crun_key)
	if [[ ! -e $result/crun ]]; then
		work=$katapod_cache/crun/work
		rm -rf "$work"
		mkdir -p "$work/src" "$result"
		fetch_crun "$version" "$sum" "$work/crun.tar.gz"
		tar -xzf "$work/crun.tar.gz" -C "$work/src" --strip-components=1
		say "compiling crun $version"
		compile_crun "$work/src" "$work/build.log"
		strip -o "$result/crun.new" "$work/src/crun"
		mv "$result/crun.new" "$result/crun"
		rm -rf "$work"
	fi
	echo "$result/crun"
}
