"""The actions whose gas is measured, by their keys. Each begins from a scene of its own."""

from collections.abc import Callable

from chain import Sent
from packed import packed_batch
from rental import HOUR, NOBODY, Rental
from scene import FIRST, LAST, UNLIMITED, RELAYER, TAIL, Scene, p256_keys

NOBODIES = (NOBODY, NOBODY)
# Without a zero byte, which is as dear as calldata gets.
BATCH = b"\x11" * 32
ROOT = b"\x22" * 32
Action = Callable[[Scene], Sent]


def open_by_renter(scene: Scene) -> Sent:
    rental = scene.rental()
    return scene.escrow.send("open", rental.terms, 10_000, b"", sender=rental.renter.address)


def open_with_permit(scene: Scene) -> Sent:
    rental = scene.rental()
    arguments = (rental.terms, 10_000, b"", scene.permit(rental.renter, UNLIMITED))
    return scene.escrow.send("openWithPermit", *arguments, sender=rental.renter.address)


def open_relayed(scene: Scene) -> Sent:
    rental = scene.rental()
    permit = scene.permit(rental.renter, UNLIMITED)
    arguments = (rental.terms, 10_000, rental.agreement_signature, permit)
    return scene.escrow.send("openWithPermit", *arguments, sender=RELAYER)


def open_from_balance(scene: Scene) -> Sent:
    rental = scene.rental()
    return scene.escrow.send("openFromBalance", rental.terms, 10_000, b"", sender=rental.renter.address)


def claim_pushed(scene: Scene, rental: Rental) -> Sent:
    scene.at(rental.starts + HOUR)
    row = rental.claim(FIRST, FIRST, FIRST)
    return scene.escrow.send("claim", row, rental.owner.address, sender=RELAYER)


def settle_push(scene: Scene) -> Sent:
    return claim_pushed(scene, scene.opened())


def settle_p256(scene: Scene) -> Sent:
    return claim_pushed(scene, scene.opened(**p256_keys()))


def settle_credit(scene: Scene) -> Sent:
    rental = scene.opened()
    scene.at(rental.starts + HOUR)
    return scene.escrow.send("claim", rental.claim(FIRST, FIRST, FIRST), NOBODY, sender=RELAYER)


def batch(rows: int) -> Action:
    """Return a batch of the rentals of one owner, each with a meter and a session key of its own."""

    def send(scene: Scene) -> Sent:
        rentals = [scene.opened() for _ in range(rows)]
        scene.at(rentals[-1].starts + HOUR)
        evidence = [(rental, FIRST, FIRST, FIRST) for rental in rentals]
        if scene.escrow.has("claimPacked"):
            return scene.escrow.send("claimPacked", packed_batch(evidence), sender=RELAYER)
        claims = [rental.claim(*amounts) for rental, *amounts in evidence]
        return scene.escrow.send("claimMany", claims, sender=RELAYER)

    return send


def close(scene: Scene) -> Sent:
    """Close after the id can open no more, as rentals end hours after they were funded."""
    rental = scene.settled()
    scene.at(rental.fund_by + HOUR)
    return send_close(scene, rental)


def close_soon(scene: Scene) -> Sent:
    return send_close(scene, scene.settled(fund_delay=4 * HOUR))


def send_close(scene: Scene, rental: Rental) -> Sent:
    closing = (LAST, 0, rental.end_by)
    signatures = (rental.close(*closing, rental.owner), rental.close(*closing, rental.renter))
    payees = (rental.owner.address, rental.renter.address)
    return scene.escrow.send("close", rental.terms, closing, *signatures, payees, sender=RELAYER)


def exit_by_renter(scene: Scene) -> Sent:
    rental = scene.opened()
    return scene.escrow.send("exit", rental.terms, b"", sender=rental.renter.address)


def exit_relayed(scene: Scene) -> Sent:
    rental = scene.opened()
    return scene.escrow.send("exit", rental.terms, rental.exit(rental.renter), sender=RELAYER)


def reclaim(scene: Scene) -> Sent:
    rental = scene.settled()
    scene.at(rental.claim_by + 1)
    payees = (NOBODY, rental.renter.address)
    return scene.escrow.send("settle", rental.terms, payees, sender=rental.renter.address)


def dispute_by_renter(scene: Scene) -> Sent:
    rental = scene.with_tail()
    scene.at(rental.claim_by + 1)
    return scene.escrow.send("dispute", rental.terms, b"", sender=rental.renter.address)


def dispute_relayed(scene: Scene) -> Sent:
    rental = scene.with_tail()
    scene.at(rental.claim_by + 1)
    return scene.escrow.send("dispute", rental.terms, rental.dispute(), sender=RELAYER)


def ruling(scene: Scene) -> Sent:
    rental = scene.disputed()
    scene.at(rental.rule_from + 1)
    arguments = (rental.terms, TAIL // 2, 0, NOBODIES)
    return scene.escrow.send("rule", *arguments, sender=rental.arbiter)


def anchor_event(scene: Scene) -> Sent:
    return scene.anchor.send("announce", BATCH, ROOT, sender=RELAYER)


def anchor_stored(scene: Scene) -> Sent:
    return scene.anchor.send("anchor", BATCH, ROOT, sender=RELAYER)


ACTIONS: dict[str, Action] = {
    "open": open_by_renter,
    "open_permit": open_with_permit,
    "open_relayed": open_relayed,
    "open_internal": open_from_balance,
    "settle_push": settle_push,
    "settle_credit": settle_credit,
    "settle_p256": settle_p256,
    "batch_10": batch(10),
    "batch_100": batch(100),
    "close": close,
    "exit": exit_by_renter,
    "reclaim": reclaim,
    "dispute": dispute_by_renter,
    "ruling": ruling,
    "anchor_event": anchor_event,
    "anchor_stored": anchor_stored,
}
# Measured beside the table, to show what a convention decides; without a budget.
VARIANTS: dict[str, Action] = {
    "close, id could still open": close_soon,
    "dispute, relayed": dispute_relayed,
    "exit, relayed": exit_relayed,
}
ROWS = {"batch_10": 10, "batch_100": 100}
