#!/usr/bin/env bash
# Run the demo: alone, or on real servers, which are started where they do not run yet.
# Usage: deploy/demo.sh real|"" [OPTION of pm500 demo]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/common.sh

services=${1:-}
[ $# = 0 ] || shift
case $services in
  "") exec .venv/bin/pm500 demo "$@" ;;
  real) ;;
  *) fail "SERVICES is real, or nothing" ;;
esac
deploy/services.sh start mosquitto kafka influxdb >&2
port() { cat ".services/$1.port"; }
exec .venv/bin/pm500 demo --mqtt "127.0.0.1:$(port mosquitto)" \
  --kafka "127.0.0.1:$(port kafka)" \
  --influx "http://127.0.0.1:$(port influxdb)/pm500" "$@"
