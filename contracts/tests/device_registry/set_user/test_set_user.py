"""See set_user.tree."""

import pytest
from possession import register
from rental import HOUR, NOBODY
from signing import Secp256k1Key, account_of

OWNER, RENTER = Secp256k1Key("owner"), Secp256k1Key("renter")
METER = Secp256k1Key("meter")
DEVICE = int.from_bytes(account_of(METER), "big")
GUEST = Secp256k1Key("guest").address


@pytest.fixture
def registry(world):
    return register(world, METER, OWNER.address)


class TestSetUser:
    def test_of_the_owner_lasts_until_it_expires(self, world, registry, sender):
        expires = world.now + HOUR

        transaction = registry.setUser(DEVICE, GUEST, expires, {"from": sender(OWNER)})

        assert (registry.userOf(DEVICE), registry.userExpires(DEVICE)) == (GUEST, expires)
        assert transaction.events["UpdateUser"]["expires"] == expires
        world.mine_at(expires)
        assert registry.userOf(DEVICE) == GUEST
        world.mine_at(expires + 1)
        assert (registry.userOf(DEVICE), registry.userExpires(DEVICE)) == (NOBODY, 0)

    def test_of_whom_the_owner_approved_counts(self, world, registry, sender):
        registry.approve(world.relayer, DEVICE, {"from": sender(OWNER)})

        registry.setUser(DEVICE, GUEST, world.now + HOUR, {"from": world.relayer})

        assert registry.userOf(DEVICE) == GUEST

    def test_ends_with_a_transfer(self, world, registry, sender):
        registry.setUser(DEVICE, GUEST, world.now + HOUR, {"from": sender(OWNER)})

        transfer = registry.transferFrom(OWNER.address, world.relayer, DEVICE, {"from": sender(OWNER)})

        assert registry.userOf(DEVICE) == NOBODY
        assert transfer.events["UpdateUser"]["user"] == NOBODY

    def test_of_nobody_leaves_nobody(self, world, registry, sender):
        registry.setUser(DEVICE, GUEST, world.now + HOUR, {"from": sender(OWNER)})

        registry.setUser(DEVICE, NOBODY, world.now + HOUR, {"from": sender(OWNER)})

        assert (registry.userOf(DEVICE), registry.userExpires(DEVICE)) == (NOBODY, 0)


class TestRefuses:
    def test_a_stranger(self, world, registry):
        refusal = world.refusal(registry.setUser, DEVICE, GUEST, world.now + HOUR)

        assert refusal == ("DeviceRegistry_NotApproved", world.relayer.address.lower(), DEVICE)

    def test_a_device_that_nobody_registered(self, world):
        refusal = world.refusal(world.registry.setUser, DEVICE, GUEST, world.now + HOUR)

        assert refusal == ("ERC721NonexistentToken", DEVICE)

    def test_the_owner_while_a_renter_uses_the_device(self, world, registry, sender):
        rental = world.opened()
        mirroring = (rental.terms, tuple(rental._detail.values()), RENTER.address, OWNER.sign(rental.id))
        registry.mirrorUser(*mirroring, {"from": world.relayer})

        refusal = world.refusal(registry.setUser, DEVICE, GUEST, world.now + HOUR, sender=sender(OWNER))

        assert refusal == ("DeviceRegistry_Rented", DEVICE, rental.id)


def test_knows_the_interfaces_it_has(world):
    asked = ["0x01ffc9a7", "0x80ac58cd", "0xad092b5c", "0xffffffff"]

    assert [world.registry.supportsInterface(each) for each in asked] == [True, True, True, False]
