"""One mandate, many agents: real threads and processes, some of them killed in the middle."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hireling.mandate_ledger import MandateLedger
from hireling.rental.errors import MandateExceeded
from hireling.rental.reservation import LEASE, Stage
from hireling.rental.terms import rental_id
from tests.builders import DOMAIN, NOW
from tests.integration.agent.spending_agents import ALL_IN, ROOM_FOR, a_shared_mandate, rental

PROJECT = Path(__file__).parents[3]
PROCESSES, THREADS = 5, 10
MANDATE = a_shared_mandate()
AFTER_THE_LEASE = NOW + LEASE + timedelta(seconds=1)


@contextmanager
def agents(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process of spending agents that is ready for orders; kill it in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.agent.spending_agents", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )
    try:
        assert line_of(process) == "ready"
        yield process
    finally:
        process.kill()
        process.communicate()


def order(process: subprocess.Popen[str], words: str) -> None:
    """Give an order."""
    assert process.stdin is not None
    process.stdin.write(f"{words}\n")
    process.stdin.flush()


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line that left the process, empty at its end."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def lines_until_done(process: subprocess.Popen[str]) -> list[str]:
    """Return what left the process for this order."""
    return list(iter(lambda: line_of(process), "done"))


class TestFiftyInParallel:
    @pytest.mark.timeout(300)
    def test_never_exceed_one_mandate(self, tmp_path: Path) -> None:
        path = tmp_path / "mandates.sqlite"
        with agents(path) as a, agents(path) as b, agents(path) as c, agents(path) as d, agents(path) as e:
            processes = (a, b, c, d, e)
            assert len(processes) == PROCESSES
            for place, process in enumerate(processes):
                order(process, f"race {place * THREADS} {THREADS}")
            said = [line for process in processes for line in lines_until_done(process)]

        signed = [line for line in said if line.startswith("signed")]
        refused = [line for line in said if line.startswith("refused")]
        assert len(signed) == ROOM_FOR
        assert len(refused) == PROCESSES * THREADS - ROOM_FOR
        # Refused for the total and for nothing else, and never clipped: what is left stays unused.
        assert {line.split()[-1] for line in refused} == {"total"}
        assert MandateLedger(path).reserved(MANDATE, NOW) == ROOM_FOR * ALL_IN


class TestKilledBetweenReserveAndSign:
    def test_the_reservation_holds_and_then_lapses(self, tmp_path: Path) -> None:
        path = tmp_path / "mandates.sqlite"
        with agents(path) as process:
            order(process, "reserve 1")
            lines_until_done(process)
        ledger = MandateLedger(path)

        # Nobody can spend it as long as its holder could still be alive…
        assert ledger.reserved(MANDATE, NOW + LEASE) == ALL_IN
        # …and then nothing is lost for ever.
        assert ledger.reserved(MANDATE, AFTER_THE_LEASE) == 0
        for number in range(100, 100 + ROOM_FOR):
            ledger.reserve(MANDATE, rental(number), domain=DOMAIN, now=AFTER_THE_LEASE)

        # A holder that was only slow, or whose clock stands still, finds nothing to sign under.
        for late in (NOW, AFTER_THE_LEASE):
            with pytest.raises(MandateExceeded) as refusal:
                ledger.note_signed(rental_id(DOMAIN, rental(1)), late)
            assert refusal.value.code == "not_reserved"

    @pytest.mark.timeout(300)
    def test_killed_at_any_moment_every_signature_that_left_is_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "mandates.sqlite"
        left: set[int] = set()
        for run in range(6):
            with agents(path) as process:
                order(process, f"spend {run * 1_000}")
                first = line_of(process)
                # Another moment in each run: a step takes some milliseconds.
                time.sleep(0.0037 * run)
                process.kill()
                assert process.stdout is not None
                said = [first, *(line.rstrip() for line in process.stdout)]
            left |= {int(line.split()[1]) for line in said if line.startswith("signed")}

        ledger = MandateLedger(path)
        assert len(left) >= 3
        assert len(left) * ALL_IN <= ledger.reserved(MANDATE, NOW) <= MANDATE.limits.total
        for number in left:
            reservation = ledger.reservation(rental_id(DOMAIN, rental(number)))
            assert reservation is not None
            assert reservation.stage is Stage.SIGNED
        # Of what never got as far as a signature, nothing is held any longer; a signature that was noted
        # and did not leave in time counts until the escrow cannot be opened.
        assert ledger.reserved(MANDATE, AFTER_THE_LEASE) <= (len(left) + 6) * ALL_IN
        long_after = NOW + timedelta(hours=1)
        assert ledger.reserved(MANDATE, long_after) == 0
