"""What the broker brings to a machine: each message is read, and told to whom it concerns."""

from collections.abc import Callable

from pydantic import ValidationError

from hireling.device.moves import MovesOverMqtt
from hireling.device.rentals import Rentals, Spawn
from hireling.device.tools import Tools
from hireling.mqtt_line import topic_of
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.encoding import parse
from hireling.rental.errors import Malformed
from hireling.rental.topics import TOPICS, Ack, Answer, Ask, Notice, Refusal
from hireling.rental.typed_data import to_hex

# Whoever else writes to the device's topic shall not silence it.
LONGEST_WAIT_SECONDS = 60.0
# What a notice tells of that the line brings whole to those who bargain over it.
MOVES = frozenset({"quote_requested", "offer_made", "agreement_signed"})
WORDS = tuple(topic.word for topic in TOPICS if "device" in topic.listeners)


def topics_for(device: bytes) -> list[str]:
    """Return what a machine's agent listens to."""
    return [topic_of(device, word) for word in WORDS]


class DeviceListener:
    """Hears the line for a machine's agent."""

    def __init__(
        self,
        tools: Tools,
        *,
        rentals: Rentals,
        moves: MovesOverMqtt | None,
        spawn: Spawn,
        ask: Callable[[], None],
        look: Callable[[], None],
    ) -> None:
        """``ask`` has the marketplace asked what waits here; ``look`` has the news of sessions seen to."""
        self._tools = tools
        self._rentals = rentals
        self._moves = moves
        self._spawn = spawn
        self._ask = ask
        self._look = look
        self._acts: dict[str, Callable[[bytes], None]] = {
            "notices": self._on_notice,
            "acks": self._on_ack,
            "refusals": self._on_refusal,
            "ceilings": self._on_ceiling,
            "unlock/ask": self._on_ask,
            "unlock/answer": self._on_answer,
            "answers": self._on_move_answer,
            "sessions": self._on_session,
        }

    def on_line_up(self) -> None:
        """Look for what was missed while the line was down."""
        self._ask()
        for engagement in self._rentals.all():
            engagement.on_line_up()

    def on_message(self, topic: str, payload: bytes) -> None:
        """Act on a message; one that is not understood is announced and ignored."""
        word = topic.partition(f"hireling/{to_hex(self._tools.device)}/")[2]
        try:
            if act := self._acts.get(word):
                act(payload)
        except ValidationError as error:
            first = error.errors()[0]
            self._tools.announce("message_ignored", topic=topic, reason=f"{first['loc']}: {first['msg']}")
        except Malformed as error:
            self._tools.announce("message_ignored", topic=topic, reason=error.detail)

    def _on_notice(self, payload: bytes) -> None:
        notice = Notice.model_validate_json(payload)
        if notice.type == "flagged":
            self._tools.announce(
                "flagged",
                rental_id=None if notice.rental_id is None else to_hex(notice.rental_id),
                seq=notice.seq,
                code=notice.code,
                reason=notice.reason,
            )
            return
        if notice.rental_id is not None and self._rentals.knows(notice.rental_id):
            for engagement in self._rentals.of(notice.rental_id):
                engagement.on_rental_changed(notice.state)
        elif not self._hears_of_offer(notice):
            self._ask()

    def _hears_of_offer(self, notice: Notice) -> bool:
        """Return whether the broker brings the very move that a notice tells of."""
        is_of_move = notice.type in MOVES and notice.quote_id is not None
        return is_of_move and self._moves is not None and self._moves.hears_of(str(notice.quote_id))

    def _on_ack(self, payload: bytes) -> None:
        ack = Ack.model_validate_json(payload)
        for engagement in self._rentals.of(ack.rental_id):
            engagement.on_ack(ack.seq)

    def _on_refusal(self, payload: bytes) -> None:
        refused = Refusal.model_validate_json(payload)
        if refused.wait_ms is not None:
            # It counts what the device sends, of whichever rental.
            for engagement in self._rentals.all():
                engagement.on_rate_limited(min(refused.wait_ms / 1000, LONGEST_WAIT_SECONDS))
        elif refused.rental_id is not None and refused.seq is not None:
            for engagement in self._rentals.of(refused.rental_id):
                was_forgotten = engagement.is_forgotten
                engagement.on_refusal(seq=refused.seq, code=refused.code, detail=refused.detail)
                if engagement.is_forgotten and not was_forgotten:
                    self._ask()
        else:
            self._tools.announce("message_refused", code=refused.code, detail=refused.detail)

    def _on_ceiling(self, payload: bytes) -> None:
        signed = parse(SignedCeiling, payload)
        for engagement in self._rentals.of(signed.ceiling.rental_id):
            challenge = engagement.serving.on_ceiling(signed)
            if challenge is not None:
                self._spawn(engagement.serving.send_challenge(challenge))

    def _on_ask(self, payload: bytes) -> None:
        ask = Ask.model_validate_json(payload)
        for engagement in self._rentals.of(ask.rental_id):
            challenge = engagement.serving.on_ask(ask)
            if challenge is not None:
                self._spawn(engagement.serving.send_challenge(challenge))

    def _on_answer(self, payload: bytes) -> None:
        answer = Answer.model_validate_json(payload)
        for engagement in self._rentals.of(answer.rental_id):
            engagement.serving.on_answer(answer)

    def _on_move_answer(self, payload: bytes) -> None:
        if self._moves is not None:
            self._moves.on_answer(payload)

    def _on_session(self, payload: bytes) -> None:
        if self._moves is not None and self._moves.on_session(payload):
            self._look()
