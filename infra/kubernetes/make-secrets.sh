#!/bin/sh
# Prints the secrets of overlays/local with passwords made at random: make-secrets.sh | kubectl create --filename -
# Once: other passwords would no longer open what the first ones were set on, and `create` refuses to replace them.
set -eu

password() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# secret NAME KEY VALUE [KEY VALUE …]
secret() {
  printf -- '---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: hireling\nstringData:\n' "$1"
  shift
  while [ $# -gt 0 ]; do
    printf '  %s: "%s"\n' "$1" "$2"
    shift 2
  done
}

rabbitmq="$(password)"
mqtt="$(password)"
bus="amqp://hireling:$rabbitmq@rabbitmq:5672//"
set -- postgres "$(password)" rabbitmq "$rabbitmq"
for service in gateway listing metering negotiation settlement; do
  own="$(password)"
  set -- "$@" "$service" "$own"
  address="postgresql+psycopg://$service:$own@postgres:5432/$service"
  case "$service" in
    metering) # both ingests are one user of the broker
      secret "$service" "${service}_database_url" "$address" hireling_amqp_uri "$bus" hireling_mqtt_password "$mqtt" ;;
    negotiation)
      secret "$service" "${service}_database_url" "$address" hireling_amqp_uri "$bus" hireling_mqtt_password "$mqtt" \
        negotiation_passphrase "$(password)" ;;
    settlement)
      secret "$service" "${service}_database_url" "$address" hireling_amqp_uri "$bus" settlement_passphrase "$(password)" ;;
    *)
      secret "$service" "${service}_database_url" "$address" hireling_amqp_uri "$bus" ;;
  esac
done
secret servers "$@"
