#!/usr/bin/env bash
# The servers that the tests and a local site use, on loopback; each is a script of
# deploy/services/ with the same verbs.
# Usage: deploy/services.sh get|start|stop|status [mosquitto|kafka|influxdb|victoria]...
#   get      install what is missing where that is allowed; say what could not be had
#   start    get, then start them under .services/ and wait until they answer
#   stop     stop what start started
#   status   one line a server; exit code 1 where one does not answer
# MQTT_PORT, KAFKA_PORT, INFLUXDB_PORT and VICTORIA_PORT name the ports; without them
# 1883, 9092, 8086 and 8428 or, where those are taken, free ones, which stand in
# .services/mosquitto.port and so on. INFLUXDB_RETENTION: see deploy/services/influxdb.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/common.sh

names=(mosquitto kafka influxdb victoria)
usage="usage: deploy/services.sh get|start|stop|status [$(IFS='|' && echo "${names[*]}")]..."
verb=${1:-}
case $verb in get | start | stop | status) shift ;; *) fail "$usage" ;; esac
servers=("$@")
[ $# != 0 ] || servers=("${names[@]}")
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
