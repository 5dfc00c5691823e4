#!/usr/bin/env bash
# InfluxDB 1.x from Debian's packages, with a database pm500; its data in
# .services/influxdb. Verbs: see deploy/services.sh.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"
name=influxdb
usual_port=8086
port_variable=INFLUXDB_PORT
mark=$PWD/$folder/influxdb.conf
patience=30

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

settle() { [[ $(http "$1" POST "/query?q=CREATE+DATABASE+pm500") == *" 200 OK"* ]]; }

address() { echo "http://127.0.0.1:$1"; }

serve "$@"
