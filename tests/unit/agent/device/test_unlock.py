"""Challenge and response: each nonce opens once, for its own action, for the session key alone."""

import pytest

from hireling.device import unlock as unlock_module
from hireling.device.unlock import UnlockGate, UnlockRefused
from hireling.rental.close import Unlock, UnlockAction
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.topics import Answer, Challenge
from tests.unit.agent.rentals import PARTIES, an_offer, key, signed_by_both

AGREEMENT = signed_by_both(an_offer())


def answer(challenge: Challenge, *, by: Secp256k1Key = PARTIES.renter_agent) -> Answer:
    unlock = Unlock(
        rental_id=challenge.rental_id,
        device=AGREEMENT.offer.device,
        nonce=challenge.nonce,
        action=challenge.action,
    )
    return Answer(**dict(challenge), signature=sign(by, AGREEMENT.domain, unlock))


class TestUnlockGate:
    @pytest.mark.parametrize("action", list(UnlockAction))
    def test_grants_what_the_session_key_signed(self, action: UnlockAction) -> None:
        gate = UnlockGate(AGREEMENT)

        assert gate.check(answer(gate.challenge(action))) is action

    def test_opens_once(self) -> None:
        gate = UnlockGate(AGREEMENT)
        right = answer(gate.challenge(UnlockAction.UNLOCK))
        gate.check(right)

        with pytest.raises(UnlockRefused, match="unknown or used up"):
            gate.check(right)

    def test_refuses_another_key_and_uses_the_nonce_up(self) -> None:
        gate = UnlockGate(AGREEMENT)
        challenge = gate.challenge(UnlockAction.UNLOCK)

        with pytest.raises(UnlockRefused, match="not signed by the agreement's session key"):
            gate.check(answer(challenge, by=key(99)))
        with pytest.raises(UnlockRefused, match="unknown or used up"):
            gate.check(answer(challenge))

    def test_refuses_an_answer_for_another_action(self) -> None:
        gate = UnlockGate(AGREEMENT)
        challenge = gate.challenge(UnlockAction.UNLOCK)
        stop = challenge.model_copy(update={"action": UnlockAction.STOP})

        with pytest.raises(UnlockRefused, match="another question"):
            gate.check(answer(stop))

    def test_refuses_a_nonce_it_never_gave(self) -> None:
        challenge = Challenge(rental_id=AGREEMENT.rental_id, action=UnlockAction.UNLOCK, nonce=bytes(32))

        with pytest.raises(UnlockRefused, match="unknown or used up"):
            UnlockGate(AGREEMENT).check(answer(challenge))

    def test_a_flood_of_questions_fills_no_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unlock_module, "OPEN_CHALLENGES", 3)
        gate = UnlockGate(AGREEMENT)
        first = gate.challenge(UnlockAction.UNLOCK)
        latest = [gate.challenge(UnlockAction.UNLOCK) for _ in range(3)]

        with pytest.raises(UnlockRefused):
            gate.check(answer(first))
        assert gate.check(answer(latest[0])) is UnlockAction.UNLOCK
