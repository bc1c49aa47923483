#!/bin/sh
# Print the command of a Python 3.11 or later that can make environments, or say what is missing: $PYTHON where that is set.
for python in ${PYTHON:-python3.11 python3}; do
  if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    command -v "$python"
    exit 0
  fi
done
cat >&2 <<MESSAGE
Hireling needs Python 3.11 or later with its venv module, as \`python3.11\` or \`python3\`${PYTHON:+; PYTHON=$PYTHON is none}.
On Debian 12 or Ubuntu 24.04: sudo apt-get install python3 python3-venv
MESSAGE
exit 1
