#!/usr/bin/env bash
# Make .venv beside this folder and install the pinned packages into it; nothing to do
# where it stands already. Usage: deploy/setup.sh [run|dev]
#   run   what pm500 and its demo need (the default)
#   dev   the tools of the tests too
# PYTHON names the interpreter to use. All words go to stderr: stdout is the caller's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec 1>&2
. deploy/common.sh

wanted=${1:-run}
case $wanted in run | dev) ;; *) fail "usage: deploy/setup.sh [run|dev]" ;; esac
venv=.venv
stamp=$venv/pm500-setup
suits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))'
complete='import ensurepip, venv'
tried=()
bare=

# The first Python that suits and can make an environment, in $python; one that suits
# but came without the means (Debian's without python3-venv) in $bare.
find_python() {
  local name path seen=
  local names=(python3.12 python3.11 python3 /usr/bin/python3.{12,11})
  # Asked for by name: that one or none.
  [ -z "${PYTHON:-}" ] || names=("$PYTHON")
  tried=() bare=
  [ -z "${PYTHON:-}" ] || command -v "$PYTHON" >/dev/null || tried=("there is no $PYTHON")
  for name in "${names[@]}"; do
    path=$(command -v "$name") || path=$name
    [[ -x $path && " $seen " != *" $path "* ]] || continue
    seen+=" $path"
    if ! "$path" -c "$suits" 2>/dev/null; then
      tried+=("$path is $("$path" --version 2>/dev/null || echo 'no working Python')")
    elif "$path" -c "$complete" 2>/dev/null; then
      python=$path
      return 0
    elif [ -z "$bare" ]; then
      bare=$path
    fi
  done
  return 1
}

make_venv() {
  local version
  if [ -e "$venv" ]; then
    [ -e "$venv/pyvenv.cfg" ] || fail "$venv is no virtual environment: move it away"
    say "making $venv anew"
    rm -rf "$venv"
  fi
  if find_python; then
    say "making $venv with $("$python" --version) ($python)"
    "$python" -m venv "$venv"
  elif command -v uv >/dev/null; then
    say "making $venv with uv"
    uv venv --quiet --seed --python "${PYTHON:->=3.11,<3.13}" "$venv" ||
      fail "uv found no Python 3.11 or 3.12; see its message above"
  elif [ -n "$bare" ]; then
    version=$("$bare" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    apt_install "python$version-venv" ||
      fail "$bare cannot make virtual environments: $apt_problem" \
        "run as root: apt-get install python$version-venv" "or install uv; then call this again"
    find_python || fail "$bare still cannot make virtual environments"
    "$python" -m venv "$venv"
  else
    package='' apt_problem=
    [ -n "${PYTHON:-}" ] || apt_install python3.12-venv python3.11-venv || true
    find_python || fail "Python 3.11 or 3.12 is needed, and there is none" \
      "${tried[@]}" ${apt_problem:+"$apt_problem"} "do one of these and call this again:" \
      ${package:+"  as root: apt-get install $package"} \
      "  install uv, which brings a Python of its own, such as by: pipx install uv" \
      "  name an interpreter: PYTHON=/path/to/python3.12 make ..."
    say "making $venv with $("$python" --version) ($python)"
    "$python" -m venv "$venv"
  fi
}

# What the environment was made from; it does not survive a move of the folder.
contents=$(cat pyproject.toml constraints.txt deploy/setup.sh | sha256sum | cut -d' ' -f1)
read_stamp() {
  made_in='' made_from='' has=''
  [ ! -e "$stamp" ] || { read -r made_from has && read -r made_in; } <"$stamp" || true
}
ready() {
  [ "$made_in" = "$PWD" ] && [ "$made_from" = "$contents" ] &&
    [ -x "$venv/bin/pm500" ] && "$venv/bin/python" -c "$suits" 2>/dev/null &&
    { [ "$has" = dev ] || [ "$wanted" = run ]; }
}

read_stamp
! ready || exit 0
# One at a time: `make demo` and `make test` may be started together.
if command -v flock >/dev/null; then
  exec 9>.setup.lock
  flock 9
  read_stamp
  ! ready || exit 0
fi
[ "$has" != dev ] || [ "$made_in" != "$PWD" ] || wanted=dev

if [ -n "$made_in" ] && [ "$made_in" != "$PWD" ]; then
  say "$venv was made in $made_in"
  make_venv
elif ! "$venv/bin/python" -c "$suits; import pip" 2>/dev/null; then
  make_venv
fi
rm -f "$stamp"

group=()
[ "$wanted" = run ] || group=(--group dev)
say "installing the packages of constraints.txt (a minute or two the first time)"
pip() {
  "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@" ||
    fail "pip could not install the packages: see its message above" \
      "it needs a package index: the network, or a mirror set in pip's configuration"
}
pip install --upgrade -c constraints.txt pip
# The build's own packages are pinned too, so the build is not isolated.
pip install -c constraints.txt hatchling editables
pip install -c constraints.txt --no-build-isolation -e '.[demo]' "${group[@]}"
printf '%s %s\n%s\n' "$contents" "$wanted" "$PWD" >"$stamp"
say "$venv is ready"
