# What the servers of this folder share; sourced, not run. A server's script sets
#   name            of its files under .services/
#   usual_port      which it has where that is free; $port_variable names another
#   mark            an argument of its command line that no other process has
#   patience        how many seconds it may take until it answers
# and defines
#   get             install what is missing; where that cannot be, say why and return 1
#   prepare PORT    write its files, and set the array `command` that runs it
#   answers PORT    whether the server on this port answers in its own protocol
#   address PORT    where clients find it
#   settle PORT     do what is left once it answers; nothing unless defined
# and ends with: serve "$@"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/common.sh
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
folder=.services

# Send standard input to a port; print the first bytes of the reply, at most 16, in hex.
ask() {
  (
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || exit
    cat >&3
    timeout 2 head -c "$2" <&3 | od -An -tx1
  ) || true
}

# Send a request without a body; print the reply, its head too.
http() {
  (
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || exit
    printf '%s %s HTTP/1.0\r\nContent-Length: 0\r\n\r\n' "$2" "$3" >&3
    timeout 2 cat <&3
  ) || true
}

settle() { :; }

# Debian's package starts a server for the whole machine; nobody asked for that.
not_for_the_machine() {
  as_root systemctl disable --now "$1" >/dev/null 2>&1 ||
    as_root service "$1" stop >/dev/null 2>&1 || true
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# This port or, where it is taken, a free one below those that clients are given.
free_port() {
  local port=$1
  while taken "$port"; do port=$((20000 + RANDOM % 12000)); done
  echo "$port"
}

# Its process id, if the process that start started still lives.
running() {
  local pid
  pid=$(cat $folder/$name.pid 2>/dev/null) || return 1
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "$mark" && echo "$pid"
}

start() {
  local pid port line end
  if line=$(status_line); then
    echo "$line"
    return
  fi
  get || return 1
  end_process
  port=${!port_variable:-$(free_port "$usual_port")}
  ! taken "$port" || fail "port $port is taken: name another by $port_variable"
  prepare "$port"
  setsid "${command[@]}" </dev/null >$folder/$name.log 2>&1 9>&- &
  pid=$!
  echo "$pid" >$folder/$name.pid
  echo "$port" >$folder/$name.port
  end=$((SECONDS + patience))
  while ((SECONDS <= end)); do
    if answers "$port" && settle "$port"; then
      status_line
      return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  end_process
  tail -n 5 $folder/$name.log >&2
  fail "$name does not answer on port $port: see $folder/$name.log"
}

# 1 where there was none.
end_process() {
  local pid wait
  if pid=$(running); then
    kill "$pid" 2>/dev/null || true
    for ((wait = 0; wait < 100; wait++)); do
      running >/dev/null || break
      sleep 0.1
    done
    ! running >/dev/null || kill -9 "$pid" 2>/dev/null || true
    say "$name stopped"
  fi
  rm -f $folder/$name.pid $folder/$name.port
}

status_line() {
  local pid port
  if pid=$(running) && port=$(cat $folder/$name.port) && answers "$port"; then
    printf '%-9s  %s  pid %s\n' "$name" "$(address "$port")" "$pid"
  else
    printf '%-9s  not running\n' "$name"
    return 1
  fi
}

# One at a time: `make services` and `make test` may be started together.
alone() {
  mkdir -p $folder
  if command -v flock >/dev/null; then
    exec 9>"$folder/$name.lock"
    flock 9
  fi
}

serve() {
  case ${1:-} in
    get) alone && get ;;
    start) alone && start ;;
    stop) alone && end_process ;;
    status) status_line ;;
    *) fail "usage: deploy/services/$name.sh get|start|stop|status" ;;
  esac
}
