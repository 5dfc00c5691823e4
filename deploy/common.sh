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

# Install Debian packages; where that cannot be, return 1 with the reason in
# $apt_problem. It is tried only as root or where sudo asks for no password.
apt_install() {
  local root=()
  apt_problem=
  if ! command -v apt-get >/dev/null; then
    apt_problem="this system has no apt-get"
    return 1
  fi
  if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      apt_problem="installing $* needs root"
      return 1
    fi
    root=(sudo -n)
  fi
  say "installing $* by apt-get"
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120)
  # The list of packages of a fresh machine is empty or old.
  "${apt[@]}" install --no-install-recommends "$@" >/dev/null 2>&1 9>&- ||
    { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "$@"; } \
      >/dev/null 2>&1 9>&- ||
    {
      apt_problem="apt-get could not install $*"
      return 1
    }
}
