#!/usr/bin/env bash
# The servers that the tests and a local site use, on loopback; each is a script of
# deploy/services/ with the same verbs.
# Usage: deploy/services.sh get|start|stop|status [mosquitto|kafka]...
#   get      install what is missing where that is allowed; say what could not be had
#   start    get, then start them under .services/ and wait until they answer
#   stop     stop what start started
#   status   one line a server; exit code 1 where one does not answer
# MQTT_PORT and KAFKA_PORT name the ports; without them 1883 and 9092 or, where those
# are taken, free ones, which stand in .services/mosquitto.port and .services/kafka.port.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/common.sh

usage="usage: deploy/services.sh get|start|stop|status [mosquitto|kafka]..."
verb=${1:-}
case $verb in get | start | stop | status) shift ;; *) fail "$usage" ;; esac
servers=("$@")
[ $# != 0 ] || servers=(mosquitto kafka)
for server in "${servers[@]}"; do
  [[ $server =~ ^[a-z]+$ && -x deploy/services/$server.sh ]] || fail "$usage"
done

code=0
for server in "${servers[@]}"; do
  # One that cannot be had is no reason to go without the others.
  "deploy/services/$server.sh" "$verb" || code=1
done
# What could not be got is said; the tests that need it are skipped.
[ "$verb" = get ] || exit "$code"
