# shellcheck shell=bash
# The part of the guest's root that comes from Debian and from this folder,
# everything but the agent: assembled once, kept in the cache under a
# hash of what it is made from. Sourced by build-image.

tree_libraries=usr/lib/x86_64-linux-gnu

tree_key() {
	(
		cd "$here"
		cat packages.lock files.list links.list tree.bash
		crun_key
		cat anchor/anchor.c anchor.bash
		find skeleton -type f | sort | xargs sha256sum
	) | sha256sum | cut -c1-16
}

# update_lock resolves packages.list against the archive as a machine with
# nothing installed would.
update_lock() {
	local -a wanted
	mapfile -t wanted < <(grep -v '^#' "$here/packages.list")
	debian_update
	{
		echo "# Made by build-image --update-lock from packages.list: package and version."
		debian_apt apt-get -s install --no-install-recommends "${wanted[@]}" |
			sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1 \2/p' | sort
	} >"$here/packages.lock.new"
	mv "$here/packages.lock.new" "$here/packages.lock"
	say "packages.lock has $(grep -vc '^#' "$here/packages.lock") packages"
}

# Debian keeps only the newest version of most packages, so a lock grows stale;
# the newest is used then, the manifest tells, and this says so.
locked_packages() {
	local name version newest available
	local -a names
	mapfile -t names < <(sed -n '/^#/! s/ .*//p' "$here/packages.lock")
	available=$(debian_available "${names[@]}")
	while read -r name version; do
		if ! grep -qxF "$name $version" <<<"$available"; then
			newest=$(debian_candidate "$name")
			[[ -n $newest && $newest != "(none)" ]] || die "Debian has no package $name any more: run build-image --update-lock"
			say "Debian no longer has $name $version, using $newest; build-image --update-lock makes this lasting"
			version=$newest
		fi
		echo "$name=$version"
	done < <(grep -v '^#' "$here/packages.lock")
}

merged_directories() {
	local root=$1 name
	mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$root/$name"
	done
}

unpack_packages() {
	local packages=$1 stage=$2 manifest=$3 deb
	merged_directories "$stage"
	for deb in "$packages"/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$stage"
		echo "$(dpkg-deb -W --showformat='${Package} ${Version}' "$deb") $(sha256sum <"$deb" | cut -d' ' -f1)"
	done | sort >"$manifest"
}

# Links are followed: a program or library is a file under the one name it is
# asked for by.
take_file() {
	local stage=$1 root=$2 path=$3
	mkdir -p "$root/$(dirname "$path")"
	cp -L "$stage/$path" "$root/$path"
}

take_files() {
	local stage=$1 root=$2 pattern path found
	while read -r pattern; do
		found=
		for path in $(cd "$stage" && compgen -G "$pattern" | sort); do
			take_file "$stage" "$root" "$path"
			found=1
		done
		[[ $found ]] || die "no package of packages.lock has $pattern, which files.list asks for"
	done < <(grep -v -e '^#' -e '^$' "$here/files.list")
}

# Repeats until nothing new is needed, because libraries need libraries.
take_libraries() {
	local stage=$1 root=$2 name again=1
	while [[ $again ]]; do
		again=
		while read -r name; do
			[[ ! -e $root/$tree_libraries/$name && $name != ld-linux-* ]] || continue
			[[ -e $stage/$tree_libraries/$name ]] || die "no package of packages.lock has the library $name"
			take_file "$stage" "$root" "$tree_libraries/$name"
			again=1
		done < <(find "$root/usr" -type f -exec readelf -d {} + 2>/dev/null |
			sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u)
	done
}

# Mount points, links, and the few files of our own.
add_skeleton() {
	local root=$1 path target
	mkdir -p "$root"/{dev,etc,mnt,proc,root,run,sys,tmp,var/lib,var/tmp}
	cp -r "$here/skeleton/." "$root"
	while read -r path target; do
		mkdir -p "$root/$(dirname "$path")"
		ln -sfn "$target" "$root/$path"
	done < <(grep -v '^#' "$here/links.list")
}

# The permissions are set here because those of the checkout depend on its
# owner's umask; nothing is setuid.
fix_permissions() {
	local root=$1
	find "$root" -type d -exec chmod 0755 {} +
	find "$root" -type f -exec chmod 0644 {} +
	find "$root"/usr/{bin,sbin,lib64} -type f -exec chmod 0755 {} +
	chmod 1777 "$root/tmp" "$root/var/tmp"
	chmod 0700 "$root/root"
	find "$root" -exec touch -h -d @0 {} +
}

assemble_tree() {
	local result=$1
	local -a packages
	debian_update
	mapfile -t packages < <(locked_packages)
	((${#packages[@]})) || die "packages.lock is empty: run build-image --update-lock"
	say "fetching ${#packages[@]} packages"
	debian_download "$result/packages" "${packages[@]}"
	unpack_packages "$result/packages" "$result/stage" "$result/manifest"
	mkdir "$result/root"
	take_files "$result/stage" "$result/root"
	take_libraries "$result/stage" "$result/root"
	install -D "$(built_crun)" "$result/root/usr/bin/crun"
	echo "crun built $(sha256sum <"$result/root/usr/bin/crun" | cut -d' ' -f1)" >>"$result/manifest"
	debian_need_tools gcc:gcc
	compile_anchor "$here" "$result/root/usr/sbin/katapod-anchor" || die "the anchor of PID namespaces does not compile"
	add_skeleton "$result/root"
	fix_permissions "$result/root"
	rm -rf "$result/packages" "$result/stage"
}

# debian_tree prints the folder of the cached tree: root/ and manifest.
debian_tree() {
	local result
	mkdir -p "$katapod_cache/image"
	exec 9>"$katapod_cache/image/lock"
	flock 9
	result=$katapod_cache/image/$(tree_key)
	if [[ ! -e $result/root ]]; then
		rm -rf "$result.new"
		mkdir -p "$result.new"
		assemble_tree "$result.new"
		mv "$result.new" "$result"
	fi
	exec 9>&-
	echo "$result"
}
