#!/usr/bin/env bash
# Apache Kafka, one node: its jars from Maven Central in .services/kafka, its data in
# .services/kafka-data, run by the Java of .services/java. The tests use kcat, a client,
# too. Verbs: see deploy/services.sh.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"
name=kafka
usual_port=9092
port_variable=KAFKA_PORT
mark=$PWD/$folder/kafka.properties
patience=60
given=deploy/services/kafka

get() {
  if ! command -v kcat >/dev/null && ! apt_install kcat; then
    say "no kcat: $apt_problem; the test that reads with it will be skipped"
  fi
  get_java && get_jars || {
    say "no Kafka: $problem"
    say "the tests that need a Kafka broker will be skipped"
    return 1
  }
}

# A Java that is new enough, in .services/java.
get_java() {
  [ ! -x $folder/java ] || return 0
  if ! find_java; then
    apt_install {openjdk-17,openjdk-21,openjdk-25,default}-jre-headless && find_java || {
      problem="Java 17 is needed: ${apt_problem:-$package is older}"
      return 1
    }
  fi
  ln -sfn "$java" $folder/java
}

find_java() {
  local version
  for java in "${JAVA_HOME:-/usr}/bin/java" "$(command -v java)" /usr/lib/jvm/*/bin/java; do
    [ -x "$java" ] || continue
    version=$("$java" -XshowSettings:properties -version 2>&1 |
      sed -n 's/.* java\.specification\.version = \([0-9]*\).*/\1/p') || true
    [ "${version:-0}" -lt 17 ] || return 0
  done
  return 1
}

# The jars of the pom in .services/kafka, beside the pom that they were got by.
get_jars() {
  local fresh output
  ! cmp -s $given/pom.xml $folder/kafka/pom.xml || return 0
  command -v mvn >/dev/null || apt_install maven || {
    problem="Maven is needed: $apt_problem"
    return 1
  }
  say "getting Kafka by Maven"
  fresh=$PWD/$folder/kafka.new
  rm -rf "$fresh"
  # -C: a file that is not what its checksum says is no jar of ours.
  if ! output=$(timeout --foreground 900 mvn -q -B -C -f $given/pom.xml \
    org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies \
    -DoutputDirectory="$fresh" 2>&1 9>&-); then
    output=$(sed $'s/\e\\[[0-9;]*m//g' <<<"$output")
    problem=$(grep -m1 '^\[ERROR\] .' <<<"$output" || tail -n 1 <<<"$output")
    problem="Maven could not get it: ${problem#'[ERROR] '}"
    return 1
  fi
  problem="$PWD/$folder cannot be written"
  cp $given/pom.xml "$fresh" && rm -rf $folder/kafka && mv "$fresh" $folder/kafka
}

prepare() {
  local java=("$PWD/$folder/java" -Xmx512m -XX:-UsePerfData -cp "$folder/kafka/*"
    "-Dlog4j.configuration=file:$given/log4j.properties")
  {
    cat $given/server.properties
    listeners "$1" "$(free_port $(($1 + 1)))"
    echo "log.dirs=$folder/kafka-data"
  } >"$mark"
  if [ ! -e $folder/kafka-data/meta.properties ]; then
    "${java[@]}" kafka.tools.StorageTool format --ignore-formatted \
      -t cG01MDAgbG9jYWwgc2l0ZQ -c "$mark" >$folder/kafka.log 2>&1 ||
      fail "Kafka could not make $folder/kafka-data: see $folder/kafka.log"
  fi
  command=("${java[@]}" kafka.Kafka "$mark")
}

listeners() {
  printf '%s\n' "listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2" \
    "advertised.listeners=PLAINTEXT://127.0.0.1:$1" \
    "controller.quorum.voters=1@127.0.0.1:$2"
}

# An ApiVersions request (version 0) with our number 500, and the reply to it: no error.
answers() {
  local request='\x00\x00\x00\x10\x00\x12\x00\x00\x00\x00\x01\xf4\x00\x06status'
  [[ $(printf %b "$request" | ask "$1" 10) == *" 00 00 01 f4 00 00" ]]
}

address() { echo "127.0.0.1:$1"; }

serve "$@"
