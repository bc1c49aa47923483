"""See mirror_user.tree."""

import pytest
from possession import register
from rental import HOUR, NOBODY, USD
from signing import P256Key, Secp256k1Key, account_of, hash_struct

OWNER, RENTER = Secp256k1Key("owner"), Secp256k1Key("renter")
METER = Secp256k1Key("meter")
DEVICE = int.from_bytes(account_of(METER), "big")
ZERO = "0x" + "00" * 32


@pytest.fixture
def registry(world):
    """The registry, with the device that the rentals of these tests are of."""
    return register(world, METER, OWNER.address)


def detail(rental):
    return tuple(rental._detail.values())


def word(rental, *, user=RENTER.address, key=OWNER):
    """Return what shows a rental's user to the registry."""
    return (rental.terms, detail(rental), user, key.sign(rental.id))


def mirrored(world, registry, **changes):
    rental = world.opened(**changes)
    registry.mirrorUser(*word(rental), {"from": world.relayer})
    return rental


def users(registry):
    return (registry.userOf(DEVICE), registry.userExpires(DEVICE), str(registry.rentalOf(DEVICE)))


class TestMirror:
    @pytest.mark.parametrize("key", [OWNER, Secp256k1Key("owner's agent")], ids=["owner", "owner's agent"])
    def test_shows_the_renter_until_the_end(self, world, registry, key):
        rental = world.opened()

        transaction = registry.mirrorUser(*word(rental, key=key), {"from": world.relayer})

        assert users(registry) == (RENTER.address, rental.end_by, "0x" + rental.id.hex())
        told = transaction.events["UpdateUser"]
        assert (told["tokenId"], told["user"], told["expires"]) == (DEVICE, RENTER.address, rental.end_by)
        assert transaction.events["UserMirrored"]["user"] == RENTER.address

    def test_shows_the_session_key_of_a_renter_without_an_address(self, world, registry):
        agent = Secp256k1Key("renter's agent")
        rental = world.rental(renter=P256Key("browser"), renter_agent=agent, max_total=0, deposit=0)
        opening = (rental.terms, 10_000, rental.agreement_signature)
        world.escrow.openFromBalance(*opening, {"from": world.relayer})

        registry.mirrorUser(*word(rental, user=agent.address), {"from": world.relayer})

        assert registry.userOf(DEVICE) == agent.address

    def test_takes_the_owner_as_sender_for_its_word(self, world, registry, sender):
        rental = world.opened()

        registry.mirrorUser(rental.terms, detail(rental), RENTER.address, b"", {"from": sender(OWNER)})

        assert registry.userOf(DEVICE) == RENTER.address

    def test_replaces_a_user_whom_the_owner_set(self, world, registry, sender):
        registry.setUser(DEVICE, world.relayer, 2**64 - 1, {"from": sender(OWNER)})

        mirrored(world, registry)

        assert registry.userOf(DEVICE) == RENTER.address


class TestEnds:
    def test_at_the_rentals_end(self, world, registry):
        rental = mirrored(world, registry)

        world.mine_at(rental.end_by)
        at_the_end = registry.userOf(DEVICE)
        world.mine_at(rental.end_by + 1)

        assert at_the_end == RENTER.address
        assert users(registry) == (NOBODY, 0, ZERO)

    def test_sooner_by_an_exit(self, world, registry):
        rental = mirrored(world, registry)

        world.escrow.exit(rental.terms, rental.exit(OWNER), {"from": world.relayer})

        ends = world.now + rental.notice
        assert registry.userExpires(DEVICE) == ends
        world.mine_at(ends + 1)
        assert registry.userOf(DEVICE) == NOBODY

    def test_at_once_by_a_close(self, world, registry, nobody):
        rental = mirrored(world, registry)
        until = world.now + HOUR
        sides = (rental.close(0, 0, until, OWNER), rental.close(0, 0, until, RENTER))

        world.escrow.close(rental.terms, (0, 0, until), *sides, nobody, {"from": world.relayer})

        assert users(registry) == (NOBODY, 0, ZERO)

    def test_and_lets_the_next_rental_in(self, world, registry):
        first = mirrored(world, registry)
        world.mine_at(first.end_by + 1)

        second = mirrored(world, registry, salt=b"\x02" * 32)

        assert str(registry.rentalOf(DEVICE)) == "0x" + second.id.hex()


class TestSale:
    def test_leaves_the_renter_in_and_money_due_with_who_earned_it(self, world, registry, sender):
        buyer = Secp256k1Key("buyer")
        rental = mirrored(world, registry)
        earned_before = world.credit(OWNER)

        registry.transferFrom(OWNER.address, buyer.address, DEVICE, {"from": sender(OWNER)})
        world.claimed(rental, 10 * USD, 10 * USD, 10 * USD)

        assert registry.userOf(DEVICE) == RENTER.address
        assert registry.ownerOf(DEVICE) == buyer.address
        assert world.credit(OWNER) - earned_before == 9_750_000
        assert world.credit(buyer) == 0

    def test_ends_what_the_old_owner_agreed_but_did_not_begin(self, world, registry, sender):
        buyer = Secp256k1Key("buyer")
        rental = world.opened()
        registry.transferFrom(OWNER.address, buyer.address, DEVICE, {"from": sender(OWNER)})

        refusal = world.refusal(registry.mirrorUser, *word(rental))

        assert refusal == ("DeviceRegistry_OtherOwner", account_of(OWNER), buyer.address.lower())


class TestRefuses:
    def test_an_agreement_that_the_owner_never_saw(self, world, registry):
        """Opening needs only the renter: it could name any device and any owner."""
        rental = world.opened()

        refusal = world.refusal(registry.mirrorUser, *word(rental, key=RENTER))

        assert refusal == ("DeviceRegistry_NotTheOwnersWord", account_of(RENTER))

    def test_a_signature_that_is_none(self, world, registry):
        rental = world.opened()

        refusal = world.refusal(
            registry.mirrorUser, rental.terms, detail(rental), RENTER.address, b"\x00" * 65
        )

        assert refusal == ("DeviceRegistry_NotTheOwnersWord", b"\x00" * 32)

    def test_details_that_were_not_agreed(self, world, registry):
        rental = world.opened()
        other = {**rental._detail, "grace": 61}

        refusal = world.refusal(
            registry.mirrorUser, rental.terms, tuple(other.values()), RENTER.address, OWNER.sign(rental.id)
        )

        agreed = hash_struct("Detail", rental._detail)
        assert refusal == ("DeviceRegistry_NotTheAgreement", hash_struct("Detail", other), agreed)

    def test_a_device_that_nobody_registered(self, world):
        rental = world.opened()

        assert world.refusal(world.registry.mirrorUser, *word(rental)) == ("ERC721NonexistentToken", DEVICE)

    @pytest.mark.parametrize("user", [OWNER.address, NOBODY], ids=["stranger", "nobody"])
    def test_a_user_who_does_not_rent(self, world, registry, user):
        rental = world.opened()

        refusal = world.refusal(registry.mirrorUser, *word(rental, user=user))

        assert refusal == ("DeviceRegistry_NotTheRenter", user.lower())

    def test_a_rental_that_never_opened(self, world, registry):
        rental = world.rental()

        refusal = world.refusal(registry.mirrorUser, *word(rental))

        assert refusal == ("DeviceRegistry_NotUnderWay", rental.id, rental.starts, 0)

    def test_a_rental_that_has_not_begun(self, world, registry):
        rental = world.opened(start_delay=HOUR)

        refusal = world.refusal(registry.mirrorUser, *word(rental))

        assert refusal == ("DeviceRegistry_NotUnderWay", rental.id, rental.starts + HOUR, rental.end_by)

    def test_a_rental_that_is_over(self, world, registry):
        rental = world.opened()
        world.mine_at(rental.end_by + 1)

        refusal = world.refusal(registry.mirrorUser, *word(rental))

        assert refusal == ("DeviceRegistry_NotUnderWay", rental.id, rental.starts, rental.end_by)

    def test_a_second_rental_beside_one_that_goes_on(self, world, registry):
        first = mirrored(world, registry)
        second = world.opened(salt=b"\x02" * 32)

        refusal = world.refusal(registry.mirrorUser, *word(second))

        assert refusal == ("DeviceRegistry_Rented", DEVICE, first.id)
