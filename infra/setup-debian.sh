#!/bin/bash
# Install the servers of the stack on Debian or Ubuntu: RabbitMQ, PostgreSQL, Mosquitto and Prometheus. Needs root.
# Nothing is started and no system service changes: `make test-stack` runs private instances on free ports.
#   setup-debian.sh              the servers
#   setup-debian.sh PACKAGE ...  these packages instead
set -euo pipefail

packages=("$@")
[ "$#" -gt 0 ] || packages=(rabbitmq-server postgresql mosquitto prometheus)
missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
  echo "installed: ${packages[*]}"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "Installing ${missing[*]} needs root: sudo $0" >&2
  exit 1
fi

# Debian starts what it installs unless this file says no; an answer that is already there is the machine's own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get install --yes --quiet --no-install-recommends "${missing[@]}"
