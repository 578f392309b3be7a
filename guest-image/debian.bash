# shellcheck shell=bash
# Debian packages for the builds in this folder, fetched and verified by apt
# with a state of its own: the machine's sources, lists and cache are neither
# read nor written. Sourced by build-kernel and build-image.
#
# KATAPOD_CACHE           where lists, packages and results are kept
#                         (default $HOME/.cache/katapod)
# KATAPOD_DEBIAN_MIRROR   default http://deb.debian.org/debian
# KATAPOD_SECURITY_MIRROR default http://deb.debian.org/debian-security

katapod_cache=${KATAPOD_CACHE:-${HOME:?set HOME or KATAPOD_CACHE}/.cache/katapod}
debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
debian_lists_max_age_minutes=1440

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# debian_apt COMMAND ARGS... runs apt-get (or apt-cache) with the private state.
# The empty status file makes it see a machine with nothing installed, so that
# what it resolves depends on the archive alone.
debian_apt() {
	local tool=$1 state=$katapod_cache/apt
	shift
	"$tool" -qq \
		-o Dir::Etc::SourceList="$state/sources.list" \
		-o Dir::Etc::SourceParts="$state/none" \
		-o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts="$state/none" \
		-o Dir::State="$state" \
		-o Dir::State::Lists="$state/lists" \
		-o Dir::State::status="$state/status" \
		-o Dir::Cache="$state/cache" \
		-o Dir::Log="$state" \
		-o APT::Architecture=amd64 \
		-o APT::Architectures=amd64 \
		-o APT::Sandbox::User="$(id -un)" \
		-o Acquire::Languages=none \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		-o Acquire::Retries=3 \
		-o Debug::NoLocking=true \
		"$@"
}

# debian_update makes sure that package lists exist and are at most a day old.
# Two builds at once wait for each other here.
debian_update() {
	local state=$katapod_cache/apt
	local mirror=${KATAPOD_DEBIAN_MIRROR:-http://deb.debian.org/debian}
	local security=${KATAPOD_SECURITY_MIRROR:-http://deb.debian.org/debian-security}
	[[ -r $debian_keyring ]] || die "cannot verify Debian packages: $debian_keyring is missing; install debian-archive-keyring"
	mkdir -p "$state"/{none,lists/partial,cache/archives/partial}
	exec 8>"$state/lock"
	flock 8
	{
		echo "deb [signed-by=$debian_keyring] $mirror bookworm main"
		echo "deb [signed-by=$debian_keyring] $mirror bookworm-updates main"
		echo "deb [signed-by=$debian_keyring] $mirror bookworm-backports main"
		echo "deb [signed-by=$debian_keyring] $security bookworm-security main"
	} >"$state/sources.list.new"
	: >"$state/status"
	if ! cmp -s "$state/sources.list.new" "$state/sources.list" ||
		[[ -z $(find "$state/updated" -mmin -"$debian_lists_max_age_minutes" 2>/dev/null) ]]; then
		say "reading Debian's package lists from $mirror"
		mv "$state/sources.list.new" "$state/sources.list"
		debian_apt apt-get update || die "cannot read the package lists of $mirror; check the network, or set KATAPOD_DEBIAN_MIRROR and KATAPOD_SECURITY_MIRROR"
		touch "$state/updated"
	fi
	rm -f "$state/sources.list.new"
	exec 8>&-
}

# debian_candidate PACKAGE prints the newest version in the archive.
debian_candidate() {
	debian_apt apt-cache policy "$1" | awk '$1 == "Candidate:" { print $2 }'
}

# debian_available PACKAGE... prints the versions that the archive has, as
# lines of package and version.
debian_available() {
	debian_apt apt-cache madison "$@" | sed 's/^ *\([^ |]*\) *| *\([^ |]*\) .*/\1 \2/'
}

# debian_download DIRECTORY PACKAGE=VERSION... puts the .deb files there.
debian_download() {
	local directory=$1
	shift
	mkdir -p "$directory"
	(cd "$directory" && debian_apt apt-get download "$@") ||
		die "cannot download $* from Debian; check the network, or set KATAPOD_DEBIAN_MIRROR"
}

# debian_need_tools FILE:PACKAGE... installs, on the machine itself, the
# packages whose command (a bare name) or file (a path) is not there yet.
debian_need_tools() {
	local pair missing=()
	for pair in "$@"; do
		case ${pair%%:*} in
		/*) [[ -e ${pair%%:*} ]] || missing+=("${pair##*:}") ;;
		*) PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}") ;;
		esac
	done
	((${#missing[@]})) || return 0
	[[ $(id -u) == 0 ]] || die "needs Debian packages that are not installed; as root run: apt-get install --no-install-recommends ${missing[*]}"
	say "installing ${missing[*]}"
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return
	apt-get update -qq >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2 ||
		die "cannot install ${missing[*]}; see apt's message above"
}
