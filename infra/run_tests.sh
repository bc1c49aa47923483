#!/bin/bash
# Run the tests. With two cores two halves of them run side by side.
#   run_tests.sh             what needs no system package: the platform's and the contracts'
#   run_tests.sh contracts   the contracts' alone
#   run_tests.sh stack       what needs RabbitMQ, PostgreSQL and Mosquitto: journeys beside the rest, on servers of their own
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

# Most of the platform's tests wait for a chain's next block or a process's start: three at once take a third as long.
# In no order of size: files with few long tests, left to the end, would keep one worker busy and the others idle.
platform() {
  .venv/bin/python -m pytest -m "not stack and not compose and not browser" --numprocesses 3 --dist loadfile --no-loadscope-reorder
}

closing='(passed|failed|error).* in [0-9]'

# Journeys kill the servers, so what runs beside them has others. Always in a process of its own, which it becomes.
on_stack() {
  exec .venv/bin/python infra/stack.py run -- .venv/bin/python -m pytest -m stack "$@"
}

if [ "${1:-}" = stack ]; then
  journeys_status=0
  rest_status=0
  on_stack tests/e2e >build/test/journeys.log 2>&1 &
  journeys_pid=$!
  trap 'kill "$journeys_pid" 2>/dev/null; wait' INT TERM
  on_stack --ignore tests/e2e 2>&1 | tee build/test/stack.log || rest_status=$?
  echo "waiting for the journeys"
  wait "$journeys_pid" || journeys_status=$?
  cat build/test/journeys.log
  echo "stack:     $(grep -E "$closing" build/test/stack.log | tail -n 1)"
  echo "journeys:  $(grep -E "$closing" build/test/journeys.log | tail -n 1)"
  [ "$rest_status" -eq 0 ] && [ "$journeys_status" -eq 0 ]
  exit
fi

contracts_status=0
platform_status=0
if [ "$(nproc)" -ge 2 ]; then
  contracts >build/test/contracts.log 2>&1 &
  contracts_pid=$!
  trap 'kill "$contracts_pid" 2>/dev/null; wait' INT TERM
  platform 2>&1 | tee build/test/platform.log || platform_status=$?
  echo "waiting for the contracts' tests"
  wait "$contracts_pid" || contracts_status=$?
  cat build/test/contracts.log
else
  platform 2>&1 | tee build/test/platform.log || platform_status=$?
  contracts 2>&1 | tee build/test/contracts.log || contracts_status=$?
fi

echo "contracts: $(grep -E "$closing" build/test/contracts.log | tail -n 1)"
echo "platform:  $(grep -E "$closing" build/test/platform.log | tail -n 1)"
[ "$contracts_status" -eq 0 ] && [ "$platform_status" -eq 0 ]
