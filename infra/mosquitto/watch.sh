#!/bin/sh
# Runs Mosquitto with the passwords in the file PASSWORDS, and has it read them again whenever the file changed: for
# containers, where whoever writes the file is another user and cannot signal the broker. The arguments are Mosquitto's;
# its configuration finds its own, private copies of the passwords and of ACL in the folder PRIVATE.
set -eu
umask 077

state() { stat -c '%i %Y %s' "$PASSWORDS" 2>/dev/null || true; }

copy() {
  cp "$PASSWORDS" "$PRIVATE/passwords.new"
  mv "$PRIVATE/passwords.new" "$PRIVATE/passwords"
}

mkdir -p "$PRIVATE"
cp "$ACL" "$PRIVATE/acl"
while [ ! -s "$PASSWORDS" ]; do sleep 0.2; done
known="$(state)"
copy
mosquitto "$@" &
broker=$!
trap 'kill -TERM "$broker"' TERM INT
while kill -0 "$broker" 2>/dev/null; do
  now="$(state)"
  if [ -n "$now" ] && [ "$now" != "$known" ]; then
    known="$now"
    copy
    kill -HUP "$broker"
  fi
  sleep 0.3 &
  wait $! || true
done
wait "$broker"
