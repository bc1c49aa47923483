"""See rotate_meter.tree."""

import pytest
from eth_utils import keccak
from possession import possession, register
from signing import P256Key, Secp256k1Key

OLD, NEW = Secp256k1Key("meter"), P256Key("new meter")
DEVICE = int.from_bytes(keccak(OLD.signer), "big")


@pytest.fixture
def owner(sender):
    return sender(Secp256k1Key("owner"))


def next_key(world, key, owner):
    """The key's word that it is to be the device's next."""
    return possession(world, key, owner.address, device=keccak(OLD.signer), metadata=bytes(32))


@pytest.fixture
def registered(world, owner):
    register(world, OLD, owner.address)
    return world.now


def key_at(world, index):
    signer, since, until = world.registry.meterAt(DEVICE, index)
    return str(signer), int(since), int(until)


class TestRotate:
    def test_ends_the_old_key_and_begins_the_new_one(self, world, owner, registered):
        world.next_at(registered + 100)

        world.registry.rotateMeter(DEVICE, NEW.signer, *next_key(world, NEW, owner), {"from": owner})

        assert world.registry.meterOf(DEVICE) == "0x" + NEW.signer.hex()
        assert key_at(world, 0) == ("0x" + OLD.signer.hex(), registered, registered + 100)
        assert key_at(world, 1) == ("0x" + NEW.signer.hex(), registered + 100, 0)
        assert world.registry.deviceOf(keccak(NEW.signer)) == DEVICE

    def test_needs_the_new_keys_own_proof(self, world, owner, registered):
        proof = next_key(world, OLD, owner)

        refusal = world.refusal(world.registry.rotateMeter, DEVICE, NEW.signer, *proof, sender=owner)

        assert refusal == ("DeviceRegistry_PossessionNotProven",)

    def test_needs_a_proof_for_this_device(self, world, owner, registered):
        proof = possession(world, NEW, owner.address)

        refusal = world.refusal(world.registry.rotateMeter, DEVICE, NEW.signer, *proof, sender=owner)

        assert refusal == ("DeviceRegistry_PossessionNotProven",)

    def test_nobody_registers_the_next_key_as_a_device_first(self, world, owner, registered):
        proof = next_key(world, NEW, owner)

        refusal = world.refusal(world.registry.register, owner.address, NEW.signer, bytes(32), *proof)

        assert refusal == ("DeviceRegistry_PossessionNotProven",)

    def test_brings_no_old_key_back(self, world, owner, registered):
        world.registry.rotateMeter(DEVICE, NEW.signer, *next_key(world, NEW, owner), {"from": owner})
        proof = next_key(world, OLD, owner)

        refusal = world.refusal(world.registry.rotateMeter, DEVICE, OLD.signer, *proof, sender=owner)

        assert refusal == ("DeviceRegistry_KeyAlreadyUsed", DEVICE)


class TestRevoke:
    def test_leaves_the_device_without_a_key(self, world, owner, registered):
        world.registry.revokeMeter(DEVICE, {"from": owner})

        assert world.registry.meterOf(DEVICE) == "0x"
        assert key_at(world, 0)[2] == world.now

    def test_happens_once(self, world, owner, registered):
        world.registry.revokeMeter(DEVICE, {"from": owner})

        refusal = world.refusal(world.registry.revokeMeter, DEVICE, sender=owner)

        assert refusal == ("DeviceRegistry_NoMeterInForce", DEVICE)

    def test_is_mended_by_a_rotation(self, world, owner, registered):
        world.registry.revokeMeter(DEVICE, {"from": owner})
        revoked_at = world.now

        world.registry.rotateMeter(DEVICE, NEW.signer, *next_key(world, NEW, owner), {"from": owner})

        assert world.registry.meterOf(DEVICE) == "0x" + NEW.signer.hex()
        assert key_at(world, 0)[2] == revoked_at


class TestOnlyTheOwner:
    def test_rotates_revokes_and_describes(self, world, owner, registered):
        stranger = world.relayer.address.lower()
        proof = next_key(world, NEW, owner)
        refusals = [
            world.refusal(world.registry.rotateMeter, DEVICE, NEW.signer, *proof),
            world.refusal(world.registry.revokeMeter, DEVICE),
            world.refusal(world.registry.setMetadata, DEVICE, b"\x01" * 32),
        ]

        assert refusals == [("DeviceRegistry_NotOwner", stranger, owner.address.lower())] * 3

    def test_replaces_the_metadata(self, world, owner, registered):
        world.registry.setMetadata(DEVICE, b"\x01" * 32, {"from": owner})

        assert world.registry.metadataOf(DEVICE) == "0x" + "01" * 32

    def test_finds_no_key_beyond_the_last(self, world, registered):
        assert world.refusal(world.registry.meterAt, DEVICE, 1) == ("DeviceRegistry_NoSuchKey", DEVICE, 1)

    def test_finds_no_key_of_an_unknown_device(self, world):
        assert world.registry.meterOf(1) == "0x"
