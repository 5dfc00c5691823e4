#!/usr/bin/env bash
# VictoriaMetrics, one node, from Debian's packages: it takes the writes of InfluxDB's
# second API. Its data in .services/victoria. Verbs: see deploy/services.sh.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"
name=victoria
usual_port=8428
port_variable=VICTORIA_PORT
mark=-storageDataPath=$PWD/$folder/victoria
patience=30

get() {
  ! command -v victoria-metrics >/dev/null || return 0
  if ! apt_install victoria-metrics; then
    say "no victoria-metrics: $apt_problem; run as root: apt-get install victoria-metrics"
    say "the tests that need a VictoriaMetrics server will be skipped"
    return 1
  fi
  not_for_the_machine victoria-metrics
}

prepare() {
  # What is written shows at once, old days too; it writes nothing of its own.
  command=(victoria-metrics "$mark" "-httpListenAddr=127.0.0.1:$1" -retentionPeriod=100y
    -search.latencyOffset=0s -search.disableCache -selfScrapeInterval=0s
    -memory.allowedPercent=20 -loggerLevel=WARN)
}

answers() { [[ $(http "$1" GET /) == *VictoriaMetrics* ]]; }

address() { echo "http://127.0.0.1:$1"; }

serve "$@"
