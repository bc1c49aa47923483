"""See devices.tree."""

import pytest
from delegation import WalletOf, delegate
from possession import register
from signing import Secp256k1Key, account_of

METER = Secp256k1Key("meter")
DEVICE = int.from_bytes(account_of(METER), "big")


def registered(world, owner):
    return register(world, METER, owner.address)


def word(rental, key):
    return (rental.terms, tuple(rental._detail.values()), rental.renter.address, key.sign(rental.id))


@pytest.mark.parametrize("code", ["wallet", "refusing", "burning"])
def test_registers_whatever_the_code_does(world, codes, account, code):
    delegate(account, getattr(codes, code))

    registry = registered(world, account)

    assert registry.ownerOf(DEVICE) == account.address


def test_receives_a_device_that_is_sold(world, codes, account, sender):
    seller = Secp256k1Key("seller")
    registry = registered(world, seller)
    delegate(account, codes.refusing)

    registry.transferFrom(seller.address, account.address, DEVICE, {"from": sender(seller)})

    assert registry.ownerOf(DEVICE) == account.address


@pytest.mark.parametrize("by", ["its key", "its code"])
def test_mirrors_a_rental(world, codes, account, keyholder, by):
    registry = registered(world, account)
    delegate(account, codes.wallet)
    rental = world.opened(owner=account)
    speaker = account if by == "its key" else WalletOf(account, keyholder)

    registry.mirrorUser(*word(rental, speaker), {"from": world.relayer})

    assert registry.userOf(DEVICE) == rental.renter.address


def test_loses_it_to_code_that_obeys_anybody(world, codes, account):
    registry = registered(world, account)
    delegate(account, codes.obliging)
    taking = registry.transferFrom.encode_input(account.address, world.relayer, DEVICE)

    world.relayer.transfer(account.address, 0, data=codes.obliging.execute.encode_input(registry, taking))

    assert registry.ownerOf(DEVICE) == world.relayer.address
