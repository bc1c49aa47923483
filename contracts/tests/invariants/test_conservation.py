"""See README.md."""

from collections import Counter

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from model import Status
from rental import HOUR, USD
from signing import Secp256k1Key
from walk import Walk
from world import revert_to, take_snapshot

WALKS = 16
STEPS_EACH = 50
RENTALS = 3
SHARES = (1, 3_333, 5_000, 9_999, 10_000)
AMOUNTS = (0, 1, 9, 4_999_999, 20 * USD, 2**96 - 1)
BOTH = (False, True)
TERMS = {
    "fee_bps": (0, 1, 333, 1_000),
    "max_total": (100 * USD, 100 * USD, 33_333_333, 7),
    "deposit": (20 * USD, 20 * USD, 9, 0),
    "block_max": (5 * USD, 5 * USD, 1),
    "max_rate_per_hour": (60 * USD, 60 * USD, 1),
    "duration": (2 * HOUR, 5 * HOUR, 40 * HOUR),
    "notice": (0, 600),
}
CHOICES = {
    "claim": {
        "ack_amount": (0, 1, 7, 2_345_678, 5 * USD, 20 * USD),
        "read_beyond": (0, 1, 3 * USD, 3 * USD, 9_999_999),
        "allowed_beyond": (0, 1, 3 * USD, 3 * USD, 9_999_999),
    },
    "top_up": {"funded_bps": SHARES},
    "exit": {},
    "damage": {"amount": AMOUNTS},
    "void_tail": {},
    "dispute": {},
    "close": {"use": AMOUNTS, "damage": (0, 1, 9, 20 * USD), "above_paid": BOTH, "push": BOTH},
    "settle": {"push": BOTH},
    "rule_as_the_arbiter": {"tail": (None, 0, 1), "deposit": (0, 1, 9, 18 * USD), "push": BOTH},
    "a_deadline_comes": {"offset": (1, 0, -1, 2)},
    "time_passes": {"seconds": (HOUR, 60)},
}
# A close, a void or a settlement ends what others could still do, so they are rarer.
RARE, FREQUENT = (
    {"close", "void_tail", "settle"},
    {"claim", "a_deadline_comes", "dispute", "rule_as_the_arbiter"},
)
NAMES = [name for name in CHOICES for _ in range(1 if name in RARE else 4 if name in FREQUENT else 2)]
TO_REACH = {
    "topUp",
    "exit",
    "damage",
    "voidTail",
    "dispute",
    "close",
    "settle",
    "split",
    "rule",
    "CLAIMED",
    "NOTHING_NEW",
}


def apt(slot, now):
    """Return the steps that fit where a rental stands; left to chance alone, few walks would get as far as a ruling."""
    if now <= slot.claim_by:
        return ["claim", "claim", "damage", "exit", "top_up", "a_deadline_comes"]
    if slot.damaged or slot.disputed:
        return ["rule_as_the_arbiter", "settle", "a_deadline_comes"]
    return ["dispute", "settle"] if slot.tail_that_counts else ["settle"]


def chosen(random, choices):
    return {name: random.choice(options) for name, options in choices.items()}


def take_a_step(walker, random, index):
    """Do something to a rental: half of the time what fits where it stands, else anything."""
    slot, fits = walker.slots[index], random.random() < 0.5
    if fits and Status.OPEN not in slot.status:
        walker.open(index, chosen(random, TERMS), random.choice(SHARES))
        return
    name = random.choice(apt(slot, walker.world.now) if fits else NAMES)
    getattr(walker, name)(index, **chosen(random, CHOICES[name]))


def walk_once(walker, renter, random):
    walker.begin(renter)
    for index in range(RENTALS):
        walker.open(index, chosen(random, TERMS), random.choice(SHARES))
    for _ in range(STEPS_EACH):
        take_a_step(walker, random, random.randrange(RENTALS))
        walker.slots_are_the_models()
        walker.money_is_conserved()
    walker.everyone_vanishes_but_a_stranger()


def test_money_is_conserved_whatever_happens(world, sender):
    arbiter, renter = sender(Secp256k1Key("arbiter")), sender(Secp256k1Key("renter"))
    reached: Counter[str] = Counter()

    # Hypothesis gives each walk its seed, the same each time, so that what the walks must reach can be demanded of them. Left to
    # draw every step, it repeats itself and hardly leaves the beginning. To shrink a walk on a chain takes minutes: no shrinking.
    @settings(max_examples=WALKS, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(random=st.randoms(use_true_random=True))
    def walk(random):
        snapshot = take_snapshot()
        try:
            walk_once(Walk(world, arbiter, reached), renter, random)
        finally:
            # Hypothesis repeats a walk that failed, from the same chain.
            revert_to(snapshot)

    walk()

    assert set(reached) >= TO_REACH, reached
