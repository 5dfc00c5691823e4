#!/usr/bin/env bash
# The servers that the tests and a local site use, from Debian's packages, on loopback.
# Usage: deploy/services.sh get|start|stop|status
#   get      install what is missing where that is allowed; say what could not be had
#   start    get, then start them under .services/ and wait until they answer
#   stop     stop what start started
#   status   one line a server; exit code 1 where one does not answer
# MQTT_PORT names the port of mosquitto; without it 1883 or, where that is taken, a
# free one, which stands in .services/mosquitto.port.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/common.sh
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
folder=.services

get_mosquitto() {
  ! command -v mosquitto >/dev/null || return 0
  if ! apt_install mosquitto; then
    say "no mosquitto: $apt_problem; run as root: apt-get install mosquitto"
    say "the tests that need an MQTT server will be skipped"
    return 1
  fi
  # Debian's package starts a server for the whole machine; nobody asked for that.
  as_root systemctl disable --now mosquitto >/dev/null 2>&1 ||
    as_root service mosquitto stop >/dev/null 2>&1 || true
}

# An MQTT 3.1.1 CONNECT and its CONNACK: another server on the port does not count.
answers() {
  local reply
  reply=$(
    exec 2>/dev/null
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
    printf '\x10\x12\x00\x04MQTT\x04\x02\x00\x05\x00\x06status' >&3
    timeout 2 head -c 4 <&3 | od -An -tx1
  ) || true
  [ "$reply" = " 20 02 00 00" ]
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
  local port=1883
  while taken "$port"; do port=$((20000 + RANDOM % 20000)); done
  echo "$port"
}

# Its process id, if the process that start started still lives.
mosquitto_pid() {
  local pid
  pid=$(cat $folder/mosquitto.pid 2>/dev/null) || return 1
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" |
    grep -qxF "$PWD/$folder/mosquitto.conf" && echo "$pid"
}

start_mosquitto() {
  local pid port wait
  if pid=$(mosquitto_pid) && answers "$(cat $folder/mosquitto.port)"; then
    status_mosquitto
    return
  fi
  get_mosquitto || return 1
  port=${MQTT_PORT:-$(free_port)}
  ! taken "$port" || fail "port $port is taken: name another by MQTT_PORT"
  mkdir -p $folder
  # As root it would become the user mosquitto, who may not read this folder.
  printf '%s\n' "listener $port 127.0.0.1" "allow_anonymous true" "persistence false" \
    "set_tcp_nodelay true" "user $(id -un)" >$folder/mosquitto.conf
  setsid mosquitto -c "$PWD/$folder/mosquitto.conf" </dev/null \
    >$folder/mosquitto.log 2>&1 &
  pid=$!
  echo "$pid" >$folder/mosquitto.pid
  echo "$port" >$folder/mosquitto.port
  for ((wait = 0; wait < 100; wait++)); do
    if answers "$port"; then
      status_mosquitto
      return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 5 $folder/mosquitto.log >&2
  fail "mosquitto does not answer on port $port: see $folder/mosquitto.log"
}

stop_mosquitto() {
  local pid wait
  if pid=$(mosquitto_pid); then
    kill "$pid"
    for ((wait = 0; wait < 50; wait++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    ! kill -9 "$pid" 2>/dev/null || true
    say "mosquitto stopped"
  fi
  rm -f $folder/mosquitto.pid $folder/mosquitto.port
}

status_mosquitto() {
  local pid port
  if pid=$(mosquitto_pid) && port=$(cat $folder/mosquitto.port) && answers "$port"; then
    echo "mosquitto  mqtt://127.0.0.1:$port  pid $pid"
  else
    echo "mosquitto  not running"
    return 1
  fi
}

case ${1:-} in
  # What cannot be had is said and skipped: no reason to end.
  get) get_mosquitto || true ;;
  start) start_mosquitto ;;
  stop) stop_mosquitto ;;
  status) status_mosquitto ;;
  *) fail "usage: deploy/services.sh get|start|stop|status" ;;
esac
