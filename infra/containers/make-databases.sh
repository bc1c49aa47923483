#!/bin/sh
# A database for each service, owned by a role that may connect to no other. Runs again without harm.
# Passwords are in SERVER_SECRETS, a file each; PGHOST and PGPORT name another server than the container's.
set -eu

secrets=${SERVER_SECRETS:-/server-secrets}
PGPASSWORD="$(cat "$secrets/postgres")"
export PGPASSWORD
for service in gateway listing metering negotiation settlement; do
  psql --quiet --no-psqlrc --host "${PGHOST:-postgres}" --username postgres --dbname postgres \
    --set ON_ERROR_STOP=1 --set "service=$service" --set "password=$(cat "$secrets/$service")" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'service')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'service') \gexec
ALTER ROLE :"service" PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'service', :'service')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'service') \gexec
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
SQL
done
echo "databases are in place"
