#!/bin/sh
# Makes every password of the stack, once, at random, each for one reader: /secrets/<service>/<setting>, which the
# services read as settings (HIRELING_SECRETS), and /server-secrets, which only the servers see.
set -eu
umask 077

SERVICES="gateway listing metering negotiation settlement"

password() {
  [ -s "$1" ] && return
  head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$1.new"
  mv "$1.new" "$1"
}

# write FILE TEXT: only what changed.
write() {
  [ -e "$1" ] && [ "$(cat "$1")" = "$2" ] && return
  printf '%s' "$2" > "$1.new"
  mv "$1.new" "$1"
}

for name in postgres rabbitmq grafana $SERVICES; do password "/server-secrets/$name"; done
write /server-secrets/operator_postgres_url "postgresql://postgres:$(cat /server-secrets/postgres)@postgres:5432/postgres"
bus="${BUS_SCHEME:-amqp}://hireling:$(cat /server-secrets/rabbitmq)@rabbitmq:${BUS_PORT:-5672}//"
uid=10000
for service in $SERVICES; do
  uid=$((uid + 1)) # as in docker-compose.yml: each service runs under a number of its own
  folder="/secrets/$service"
  mkdir -p "$folder"
  write "$folder/${service}_database_url" \
    "postgresql+psycopg://$service:$(cat "/server-secrets/$service")@postgres:5432/$service"
  write "$folder/hireling_amqp_uri" "$bus"
  [ "$service" != settlement ] || password "$folder/settlement_passphrase"
  [ "$service" != metering ] || password "$folder/hireling_mqtt_password"
  [ "$service" != negotiation ] || password "$folder/negotiation_passphrase"
  # Both ingests are one user of the broker.
  [ "$service" != negotiation ] ||
    write "$folder/hireling_mqtt_password" "$(cat /secrets/metering/hireling_mqtt_password)"
  chown -R "$uid:$uid" "$folder"
done
chown 10005:10005 /keys
# The broker's accounts: metering's keeper writes them, the broker alone reads them.
chown 10003:10003 /broker
chmod 755 /broker
[ -e /broker/passwords ] || { : > /broker/passwords; chown 10003:10003 /broker/passwords; }
chmod 644 /broker/passwords
chmod 755 /secrets /server-secrets
# The servers' own users have other numbers in every image; nobody else mounts this folder.
chmod 444 /server-secrets/*
echo "secrets are in place"
