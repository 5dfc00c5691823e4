#!/usr/bin/env bash
# mosquitto, an MQTT broker, from Debian's packages. Verbs: see deploy/services.sh.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"
name=mosquitto
usual_port=1883
port_variable=MQTT_PORT
mark=$PWD/$folder/mosquitto.conf
patience=10

get() {
  ! command -v mosquitto >/dev/null || return 0
  if ! apt_install mosquitto; then
    say "no mosquitto: $apt_problem; run as root: apt-get install mosquitto"
    say "the tests that need an MQTT server will be skipped"
    return 1
  fi
  not_for_the_machine mosquitto
}

prepare() {
  # As root it would become the user mosquitto, who may not read this folder.
  printf '%s\n' "listener $1 127.0.0.1" "allow_anonymous true" "persistence false" \
    "set_tcp_nodelay true" "user $(id -un)" >"$mark"
  command=(mosquitto -c "$mark")
}

# An MQTT 3.1.1 CONNECT and its CONNACK: another server on the port does not count.
answers() {
  local connect='\x10\x12\x00\x04MQTT\x04\x02\x00\x05\x00\x06status'
  [ "$(printf %b "$connect" | ask "$1" 4)" = " 20 02 00 00" ]
}

address() { echo "mqtt://127.0.0.1:$1"; }

serve "$@"
