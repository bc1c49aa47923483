#!/bin/bash
# PostgreSQL's half of a backup in containers, by the programs of its own image. docs/backup.md tells the rest.
#   cluster.sh copy                    a checked copy of the running cluster, in /backups/.cluster
#   cluster.sh put-back FROM [--force] a backup's cluster as the server's data, where no server runs
set -euo pipefail

DATA=${PGDATA:-/var/lib/postgresql/data}
COPY=/backups/.cluster

fail() {
  echo "cluster: $1" >&2
  exit 1
}

as_postgres() {
  setpriv --reuid postgres --regid postgres --init-groups "$@"
}

copy() {
  PGPASSWORD="$(cat /server-secrets/postgres)"
  export PGPASSWORD
  rm -rf "$COPY"
  # By way of the loopback: from elsewhere PostgreSQL's own rules let nobody replicate.
  pg_basebackup --pgdata "$COPY" --checkpoint fast --no-password --wal-method stream --manifest-checksums SHA256 \
    --host 127.0.0.1 --username postgres
  pg_verifybackup --exit-on-error --quiet "$COPY"
  echo "the cluster is copied"
}

put_back() {
  local from=${1:-} force=${2:-} version answer=0
  [ -f "$from/manifest.json" ] && [ -d "$from/cluster" ] || fail "${from:-nothing} is no finished backup of a stack"
  version=$(postgres --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
  [ "$(cat "$from/cluster/PG_VERSION")" = "$version" ] ||
    fail "the backup is of PostgreSQL $(cat "$from/cluster/PG_VERSION"), and $version is here"
  # Only 2 means that nothing answers: a server that is about to start or stop answers too, and rejects.
  pg_isready --quiet --host postgres || answer=$?
  [ "$answer" = 2 ] || fail "the server runs: docker compose down"
  pg_verifybackup --exit-on-error --quiet "$from/cluster"
  [ -z "$(ls -A "$DATA")" ] || [ "$force" = --force ] ||
    fail "there is something in the server's data: --force replaces it for good"
  find "$DATA" -mindepth 1 -delete
  cp -r "$from/cluster/." "$DATA/"
  rm "$DATA/backup_manifest"
  chown -R postgres:postgres "$DATA"
  chmod -R go= "$DATA"
  sync
  play
  echo "the cluster is back"
}

# Serves the data to this container alone: its log is played, and the superuser's password is the one of now.
play() {
  local place
  place=$(mktemp -d)
  echo "local all all trust" > "$place/pg_hba.conf"
  chown -R postgres:postgres "$place"
  as_postgres pg_ctl --pgdata "$DATA" --wait --timeout 600 --log "$place/log" --silent start --options \
    "-c listen_addresses='' -c port=5432 -c unix_socket_directories='$place' -c hba_file='$place/pg_hba.conf'" ||
    fail "$(tail -n 20 "$place/log")"
  psql --quiet --no-psqlrc --host "$place" --port 5432 --username postgres --dbname postgres --set ON_ERROR_STOP=1 \
    --set "password=$(cat /server-secrets/postgres)" <<'SQL'
ALTER ROLE postgres PASSWORD :'password';
SQL
  as_postgres pg_ctl --pgdata "$DATA" --wait --mode fast --silent stop
}

case "${1:-}" in
  copy) copy ;;
  put-back) shift && put_back "$@" ;;
  *) fail "copy, or put-back FROM [--force]" ;;
esac
