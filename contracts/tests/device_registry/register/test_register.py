"""See register.tree."""

import pytest
from eth_utils import keccak
from possession import METADATA, possession
from rental import NOBODY
from signing import P256Key, Secp256k1Key, flip_secp256k1

OWNER = Secp256k1Key("owner").address


def token_id(key):
    return int.from_bytes(keccak(key.signer), "big")


class TestRegister:
    @pytest.mark.parametrize("key", [Secp256k1Key("meter"), P256Key("meter")], ids=["secp256k1", "p256"])
    def test_mints_the_device_to_the_owner_whoever_sends(self, world, key):
        proof = possession(world, key, OWNER)

        transaction = world.registry.register(OWNER, key.signer, METADATA, *proof, {"from": world.relayer})

        device = token_id(key)
        assert transaction.return_value == device
        assert world.registry.ownerOf(device) == OWNER
        assert world.registry.meterOf(device) == "0x" + key.signer.hex()
        assert world.registry.metadataOf(device) == "0x" + METADATA.hex()
        assert world.registry.deviceOf(keccak(key.signer)) == device
        assert world.registry.meterCount(device) == 1

    def test_survives_a_sale(self, world, sender):
        key = Secp256k1Key("meter")
        world.registry.register(
            OWNER, key.signer, METADATA, *possession(world, key, OWNER), {"from": world.relayer}
        )
        owner, buyer = sender(Secp256k1Key("owner")), Secp256k1Key("buyer").address

        world.registry.transferFrom(owner, buyer, token_id(key), {"from": owner})

        assert world.registry.ownerOf(token_id(key)) == buyer
        assert world.registry.meterOf(token_id(key)) == "0x" + key.signer.hex()


class TestRefuses:
    @pytest.mark.parametrize(
        "other",
        [
            {"owner": Secp256k1Key("thief").address},
            {"registry": "0x" + "11" * 20},
            {"chain_id": 1},
            {"device": b"\x01" * 32},
            {"metadata": b"\x08" * 32},
        ],
        ids=["owner", "registry", "chain", "device", "metadata"],
    )
    def test_a_proof_for_something_else(self, world, other):
        key = Secp256k1Key("meter")
        proof = possession(world, key, **{"owner": OWNER, **other})

        refusal = world.refusal(world.registry.register, OWNER, key.signer, METADATA, *proof)

        assert refusal == ("DeviceRegistry_PossessionNotProven",)

    def test_a_proof_of_another_key(self, world):
        proof = possession(world, Secp256k1Key("thief"), OWNER)

        refusal = world.refusal(
            world.registry.register, OWNER, Secp256k1Key("meter").signer, METADATA, *proof
        )

        assert refusal == ("DeviceRegistry_PossessionNotProven",)

    def test_the_mirrored_signature(self, world):
        key = Secp256k1Key("meter")
        valid_until, signature = possession(world, key, OWNER)

        refusal = world.refusal(
            world.registry.register, OWNER, key.signer, METADATA, valid_until, flip_secp256k1(signature)
        )

        assert refusal == ("DeviceRegistry_PossessionNotProven",)

    def test_a_proof_that_expired(self, world):
        key = Secp256k1Key("meter")
        valid_until, signature = possession(world, key, OWNER)
        world.mine_at(valid_until + 1)

        refusal = world.refusal(world.registry.register, OWNER, key.signer, METADATA, valid_until, signature)

        assert refusal == ("DeviceRegistry_Expired", valid_until + 1, valid_until)

    def test_a_key_that_serves_already(self, world):
        key = Secp256k1Key("meter")
        proof = possession(world, key, OWNER)
        world.registry.register(OWNER, key.signer, METADATA, *proof, {"from": world.relayer})

        refusal = world.refusal(world.registry.register, OWNER, key.signer, METADATA, *proof)

        assert refusal == ("DeviceRegistry_KeyAlreadyUsed", token_id(key))

    def test_the_zero_address_as_owner(self, world):
        key = Secp256k1Key("meter")
        proof = possession(world, key, NOBODY)

        refusal = world.refusal(world.registry.register, NOBODY, key.signer, METADATA, *proof)

        assert refusal == ("DeviceRegistry_ZeroOwner",)
