"""How a process ends whose configuration is wrong."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from services.chassis.logging import get_logger
from services.messages.errors import OperatorError

EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h: restarting will not help

_log = get_logger(__name__)


@contextmanager
def configured() -> Iterator[None]:
    """Within the block, what is wrong with the configuration is logged and ends the process with 78.

    That is an OperatorError or a ValueError; the block holds what reads settings, and not the work itself.
    """
    try:
        yield
    except (OperatorError, ValueError) as error:
        _log.critical("configuration_wrong", reason=str(error))
        sys.exit(EXIT_CONFIGURATION)
