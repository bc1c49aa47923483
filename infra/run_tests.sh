#!/bin/bash
# Run the tests. With two cores two halves of them run side by side.
#   run_tests.sh             what needs no system package: the platform's and the contracts'
#   run_tests.sh contracts   the contracts' alone
#   run_tests.sh stack       what needs RabbitMQ, PostgreSQL and Mosquitto: journeys, then faults, beside the rest, on servers of their own
# Output is kept apart in build/test/ and shown one after the other, pytest's closing lines last.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/test

contracts() {
  contracts/scripts/lint.sh && contracts/scripts/export_abi.sh --check && contracts/scripts/test.sh
}

if [ "${1:-}" = contracts ]; then
  contracts
  exit
fi

# Cases are made of the gateway's document when they are collected, which takes long: one process does, for itself alone.
DOCUMENT=tests/api/test_schema.py
document() {
  .venv/bin/python -m pytest "$DOCUMENT"
}

# Most of the platform's tests wait for a chain's next block or a process's start: three at once take a third as long.
# Not in order of how many tests a file has: those with few long ones come first (tests/conftest.py).
platform() {
  .venv/bin/python -m pytest -m "not stack and not compose and not browser" --ignore "$DOCUMENT" \
    --numprocesses 3 --dist loadfile --no-loadscope-reorder
}

closing='(passed|failed|error).* in [0-9]'

say_how_they_closed() {
  local log
  for log in "$@"; do printf '%-10s %s\n' "$log:" "$(grep -E "$closing" "build/test/$log.log" | tail -n 1)"; done
}

# Journeys and faults kill the servers, so what runs beside them has others. Always in a process of its own, which it becomes.
on_stack() {
  exec .venv/bin/python infra/stack.py run -- .venv/bin/python -m pytest -m stack "$@"
}

# Journeys wait for blocks and deaths most of the time, and so do rentals under faults: one lane, each on servers of its own.
killing() {
  local faults=tests/e2e/test_faults.py status=0
  trap 'kill "$!" 2>/dev/null; wait; exit 1' INT TERM
  on_stack tests/e2e --ignore "$faults" >build/test/journeys.log 2>&1 &
  wait "$!" || status=$?
  on_stack "$faults" >build/test/faults.log 2>&1 &
  wait "$!" || status=$?
  return "$status"
}

if [ "${1:-}" = stack ]; then
  killing_status=0
  rest_status=0
  killing &
  killing_pid=$!
  trap 'kill "$killing_pid" 2>/dev/null; wait; exit 1' INT TERM
  # Unit tests open no socket: they need not be collected either.
  on_stack --ignore tests/e2e --ignore tests/unit --ignore "$DOCUMENT" 2>&1 | tee build/test/stack.log || rest_status=$?
  echo "waiting for the journeys and the faults"
  wait "$killing_pid" || killing_status=$?
  cat build/test/journeys.log build/test/faults.log
  say_how_they_closed stack faults journeys
  [ "$rest_status" -eq 0 ] && [ "$killing_status" -eq 0 ]
  exit
fi

# What runs beside the platform's.
others() {
  local status=0
  contracts >build/test/contracts.log 2>&1 || status=1
  document >build/test/document.log 2>&1 || status=1
  return "$status"
}

others_status=0
platform_status=0
if [ "$(nproc)" -ge 2 ]; then
  others &
  others_pid=$!
  trap 'kill "$others_pid" 2>/dev/null; wait; exit 1' INT TERM
  platform 2>&1 | tee build/test/platform.log || platform_status=$?
  echo "waiting for the contracts' tests and the gateway's document"
  wait "$others_pid" || others_status=$?
else
  platform 2>&1 | tee build/test/platform.log || platform_status=$?
  others || others_status=$?
fi
cat build/test/contracts.log build/test/document.log

say_how_they_closed contracts document platform
[ "$others_status" -eq 0 ] && [ "$platform_status" -eq 0 ]
