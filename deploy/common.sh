# What the scripts of this folder share; sourced, not run.

say() { printf 'pm500: %s\n' "$1" >&2; }

# Say what is missing, a line each, and end.
fail() {
  local line
  say "$1"
  shift
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

# Run a command as root: plainly, or by sudo where it asks for no password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Whether Debian packages can be installed here; else 1 with the reason in $apt_problem.
apt_allowed() {
  apt_problem=
  if ! command -v apt-get >/dev/null; then
    apt_problem="this system has no apt-get"
  elif ! as_root true 2>/dev/null; then
    apt_problem="only root may install Debian packages"
  fi
  [ -z "$apt_problem" ]
}

# apt-get without questions; what it says is in $apt_output. Descriptor 9 is a lock.
apt() {
  apt_output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" 2>&1 9>&-)
}

# The first of these Debian packages that there is, in $package; 1 where none is.
apt_first_of() {
  for package in "$@"; do
    ! apt-cache show "$package" >/dev/null 2>&1 || return 0
  done
  package=
  return 1
}

# Install the first of these Debian packages that there is. Where that cannot be,
# return 1 with the reason in $apt_problem; $package is the one to install, if known.
apt_install() {
  package=
  if ! apt_allowed; then
    apt_first_of "$@" || true
    return 1
  fi
  # The list of packages of a fresh machine is empty.
  if ! apt_first_of "$@" && ! { apt update && apt_first_of "$@"; }; then
    apt_problem="Debian's packages have none of: $*"
    return 1
  fi
  say "installing $package by apt-get"
  # A list that is too old names files that are gone.
  apt install --no-install-recommends "$package" ||
    { apt update && apt install --no-install-recommends "$package"; } || {
    apt_problem="apt-get could not install $package: ${apt_output##*$'\n'}"
    return 1
  }
}
