"""``python -m services.embedded demo|up|down|up-stack``: run the marketplace on this machine."""

import argparse
import signal
import sys
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError
from rich.console import Console

from services.embedded.demo import run_demo
from services.embedded.errors import EmbeddedError
from services.embedded.marketplace import Marketplace
from services.embedded.settings import EmbeddedSettings
from services.embedded.stack_market import StackMarketplace, StackServers
from services.embedded.supervisor import Supervisor, stop_running

DEMO_DEVICES = {
    "this-computer": ["--driver", "host", "--name", "This computer"],
    "recorded-machine": ["--driver", "replay", "--name", "A recorded machine"],
}
WIDTH = 132  # the tables' full hashes; a narrower terminal folds them


def _console() -> Console:
    wide = max(Console().width, WIDTH)
    return Console(highlight=False, soft_wrap=True, width=wide)


console = _console()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.embedded", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("demo", help="start the marketplace, rent two machines, show the money, stop")
    verbs.add_parser("up", help="run the marketplace until Ctrl-C, continuing from the state on disk")
    verbs.add_parser("down", help="stop a marketplace that `up` started")
    verbs.add_parser(
        "up-stack", help="run it as a process a service, on the servers of `infra/stack.py`, until Ctrl-C"
    )
    return parser


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    # Who stops us may say so twice, by the terminal and by a signal: stopping is not to be stopped.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, signal.SIG_IGN)
    raise KeyboardInterrupt


def _up_stack() -> int:
    settings = StackServers().settings()
    return Supervisor(StackMarketplace(settings, say=console.print, devices=DEMO_DEVICES), console).run()


def main() -> int:
    """Run the verb; return the exit code."""
    arguments = _parser().parse_args()
    # SIGTERM (`down`, a service manager) stops the children exactly as Ctrl-C does.
    # A shell that starts us in the background would have us ignore Ctrl-C.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, _interrupt)
    try:
        if arguments.verb == "up-stack":
            return _up_stack()
        settings = EmbeddedSettings()
        if arguments.verb == "down":
            console.print(stop_running(settings))
            return 0
        market = Marketplace(settings, say=console.print)
        if arguments.verb == "demo":
            return run_demo(market, console)
        return Supervisor(market, console).run()
    except ValidationError as error:
        for problem in error.errors():
            console.print(
                f"error: {'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}", style="red"
            )
        return 2
    except EmbeddedError as error:
        console.print(f"error: {error}", style="red")
        return 1
    except KeyboardInterrupt:
        console.print("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
