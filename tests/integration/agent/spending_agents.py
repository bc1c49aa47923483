"""Agents that spend one mandate, as a process of their own: ``python -m`` this with a ledger's path.

Each line on standard input is one order: ``race NUMBER COUNT`` has COUNT threads, which start together, try
one rental each; ``reserve NUMBER`` reserves and stops there; ``spend NUMBER`` goes on and on. A signature
that leaves is a line on standard output, written out before anything else happens.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

from hireling.mandate_ledger import MandateLedger
from hireling.rental.errors import MandateExceeded
from hireling.rental.mandate import SignedMandate
from hireling.rental.terms import Agreement, rental_id
from tests.builders import DOMAIN, NOW, RENTER_KEY, a_mandate, an_agreement, an_offer

ALL_IN = an_offer().all_in
ROOM_FOR = 20


def a_shared_mandate() -> SignedMandate:
    """Return the mandate that all spend: room for twenty rentals and a little more."""
    return a_mandate(principal_key=RENTER_KEY, per_rental=ALL_IN, total=ALL_IN * ROOM_FOR + ALL_IN // 2)


def rental(number: int) -> Agreement:
    """Return the agreement of this number; all cost the same."""
    return an_agreement(offer=an_offer(salt=number.to_bytes(32)))


def try_once(ledger: MandateLedger, number: int, leave: Callable[[str], None]) -> None:
    """Reserve, sign and let the signature leave; or say that it was refused."""
    agreement = rental(number)
    try:
        ledger.reserve(a_shared_mandate(), agreement, domain=DOMAIN, now=NOW)
        ledger.note_signed(rental_id(DOMAIN, agreement), NOW)
    except MandateExceeded as error:
        leave(f"refused {number} {error.code}")
    else:
        leave(f"signed {number}")


def race(ledger: MandateLedger, first: int, count: int) -> None:
    """Have so many threads start together."""
    barrier = Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        try_once(ledger, number, say)

    threads = [Thread(target=run, args=(first + each,)) for each in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def say(line: str) -> None:
    """Let a line leave the process."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def main() -> None:
    """Follow orders until standard input ends."""
    ledger = MandateLedger(Path(sys.argv[1]))
    a_shared_mandate()
    say("ready")
    for line in sys.stdin:
        match line.split():
            case ["race", first, count]:
                race(ledger, int(first), int(count))
            case ["reserve", number]:
                ledger.reserve(a_shared_mandate(), rental(int(number)), domain=DOMAIN, now=NOW)
            case ["spend", number]:
                for each in range(int(number), int(number) + 10_000):
                    try_once(ledger, each, say)
        say("done")


if __name__ == "__main__":
    main()
