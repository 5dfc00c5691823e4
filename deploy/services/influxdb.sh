#!/usr/bin/env bash
# InfluxDB 1.x from Debian's packages, with a database pm500; its data in
# .services/influxdb. Verbs: see deploy/services.sh. INFLUXDB_RETENTION says how long
# that database keeps points, such as 90d or INF; without it for ever, or as it was.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"
name=influxdb
usual_port=8086
port_variable=INFLUXDB_PORT
mark=$PWD/$folder/influxdb.conf
patience=30
INFLUXDB_RETENTION=${INFLUXDB_RETENTION:-}

get() {
  ! command -v influxd >/dev/null || return 0
  if ! apt_install influxdb; then
    say "no influxdb: $apt_problem; run as root: apt-get install influxdb"
    say "the tests that need an InfluxDB server will be skipped"
    return 1
  fi
  not_for_the_machine influxdb
}

prepare() {
  local words="INFLUXDB_RETENTION is no duration, such as 90d: $INFLUXDB_RETENTION"
  [[ $INFLUXDB_RETENTION =~ ^[0-9A-Za-z]*$ ]] || fail "$words"
  cp deploy/services/influxdb/influxdb.conf "$mark"
  command=(env "INFLUXDB_HTTP_BIND_ADDRESS=127.0.0.1:$1"
    "INFLUXDB_BIND_ADDRESS=127.0.0.1:$(free_port $(($1 + 2)))"
    "INFLUXDB_META_DIR=$PWD/$folder/influxdb/meta"
    "INFLUXDB_DATA_DIR=$PWD/$folder/influxdb/data"
    "INFLUXDB_DATA_WAL_DIR=$PWD/$folder/influxdb/wal"
    influxd -config "$mark")
}

# Other servers that take the same writes answer /ping too, without a version.
answers() { [[ $(http "$1" GET /ping) == *"X-Influxdb-Version: 1."* ]]; }

settle() {
  local said change="ALTER RETENTION POLICY autogen ON pm500"
  [[ $(query "$1" "CREATE DATABASE pm500") == *" 200 OK"* ]] || return 1
  [ -n "$INFLUXDB_RETENTION" ] || return 0
  # Shards of 0s are as long as suits the duration.
  change+=" DURATION $INFLUXDB_RETENTION SHARD DURATION 0s DEFAULT"
  said=$(query "$1" "$change")
  if [[ $said == *'"error":"'* ]]; then
    said=${said##*'"error":"'}
    end_process
    fail "INFLUXDB_RETENTION=$INFLUXDB_RETENTION: ${said%%\"*}"
  fi
  [[ $said == *" 200 OK"* ]]
}

query() { http "$1" POST "/query?q=${2// /+}"; }

address() { echo "http://127.0.0.1:$1"; }

serve "$@"
