#!/bin/sh
# Brings each service's database to this version's schema, as that service: it owns its tables and reads its own secrets.
set -eu

uid=10000
for service in gateway listing metering negotiation settlement; do
  uid=$((uid + 1))
  HIRELING_SECRETS="/secrets/$service" setpriv --reuid "$uid" --regid "$uid" --clear-groups \
    python -m services.chassis.migrations "$service"
done
