"""The people over an agent: it heeds a stop at once, and asks before it signs above its threshold."""

import asyncio
import contextlib
import json
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hireling.announce import Announce
from hireling.approvals import Answer, Approvals, Wanted
from hireling.clock import Clock
from hireling.mandate_ledger import MandateLedger
from hireling.platform_client import PlatformClient
from hireling.rental.errors import RentalError
from hireling.rental.mandate import SignedMandate
from hireling.rental.typed_data import Domain

HOOK_SECONDS = 10.0
# An offer binds nobody: before one, what the marketplace said of stops counts for as long. Before a signature
# it is always asked.
WORD_HOLDS = timedelta(seconds=5)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(kw_only=True)
class Oversight:
    """One agent's line to its principal: this home, and the marketplace where the principal is elsewhere.

    ``hook`` is a command that is run for every question, with the question as JSON on its standard input.
    """

    platform: PlatformClient
    ledger: MandateLedger
    approvals: Approvals
    domain: Domain
    principal: bytes
    clock: Clock
    announce: Announce
    hook: str | None = None
    _asked_at: datetime = field(default=LONG_AGO, init=False)

    async def heed(self, mandate: SignedMandate, *, before_signing: bool = True) -> None:
        """Take in what the principal said to the marketplace; raise MandateExceeded where it stopped this.

        Before a move that binds nobody, what was said in this home counts, and what the marketplace knew at
        most ``WORD_HOLDS`` ago. Raises PlatformError where the marketplace cannot be asked: then nothing is
        signed either.
        """
        now = self.clock.now()
        if before_signing or not now - WORD_HOLDS < self._asked_at <= now:
            await self._ask()
            self._asked_at = now
        await asyncio.to_thread(self.ledger.require_unrevoked, mandate)

    async def _ask(self) -> None:
        for word in await self.platform.revocations(self.principal):
            if word.principal == self.principal:
                await asyncio.to_thread(self.ledger.revoke, word, self.domain)

    async def word_on(self, wanted: Wanted) -> Answer:
        """Return a person's word on a rental, asking for it the first time."""
        now = self.clock.now()
        if await asyncio.to_thread(self.approvals.ask, wanted):
            self._announce_question(wanted)
            await self._call_hook(wanted)
        state = await asyncio.to_thread(self.approvals.state, wanted.rental_id, now)
        if state == "waiting" and (granted := await self._said_elsewhere(wanted.rental_id)) is not None:
            await asyncio.to_thread(self.approvals.answer, wanted.rental_id.hex(), approved=granted, now=now)
            state = await asyncio.to_thread(self.approvals.state, wanted.rental_id, now)
        return state

    async def _said_elsewhere(self, rental_id: bytes) -> bool | None:
        for word in await self.platform.approvals(rental_id):
            if word.principal != self.principal or word.approval.rental_id != rental_id:
                continue
            with contextlib.suppress(RentalError):
                word.check(self.domain)
                return word.approval.granted
        return None

    def _announce_question(self, wanted: Wanted) -> None:
        self.announce(
            "approval_wanted",
            quote_id=wanted.session,
            rental_id=f"0x{wanted.rental_id.hex()}",
            all_in=wanted.all_in,
            words=wanted.words,
            answer_by=_plain(wanted.answer_by),
        )

    async def _call_hook(self, wanted: Wanted) -> None:
        """Run the hook; one that fails or hangs is announced, and the question waits all the same."""
        if self.hook is None:
            return
        question = {
            "session": wanted.session,
            "rental_id": f"0x{wanted.rental_id.hex()}",
            "side": wanted.side,
            "all_in": str(wanted.all_in),
            "words": wanted.words,
            "answer_by": _plain(wanted.answer_by),
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *shlex.split(self.hook), stdin=asyncio.subprocess.PIPE
            )
        except (OSError, ValueError) as error:
            self.announce("hook_failed", detail=f"{self.hook}: {error}")
            return
        try:
            async with asyncio.timeout(HOOK_SECONDS):
                await process.communicate(json.dumps(question).encode())
        except TimeoutError:
            process.kill()
            await process.wait()
            self.announce("hook_failed", detail=f"{self.hook}: still running after {HOOK_SECONDS:g} s")
            return
        if process.returncode:
            self.announce("hook_failed", detail=f"{self.hook}: exit code {process.returncode}")


def _plain(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
