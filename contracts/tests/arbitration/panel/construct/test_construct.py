"""See construct.tree."""

import pytest
from brownie import ArbiterPanel, web3
from eth_utils import keccak
from signing import Secp256k1Key, account_of

MEMBERS = [Secp256k1Key(f"member {number}") for number in range(4)]
SIGNERS = [member.signer for member in MEMBERS]


def construction(world, signers, threshold):
    """Return the custom error that a panel so composed would revert with."""
    creation = (
        ArbiterPanel.bytecode
        + ArbiterPanel.deploy.encode_input(signers, threshold)[len(ArbiterPanel.bytecode) :]
    )
    call = {"from": world.relayer.address, "data": "0x" + creation.removeprefix("0x")}
    answer = web3.provider.make_request("eth_call", [call, "latest"])
    return world._decode_error(answer["error"])


class TestConstruct:
    def test_knows_its_members_and_how_many_must_agree(self, world, board):
        known = world.read(*((board.panel.isMember, keccak(signer)) for signer in board.signers))

        assert known == [True] * 5
        assert not board.panel.isMember(account_of(Secp256k1Key("renter")))
        assert [bytes.fromhex(str(signer)[2:]) for signer in board.panel.members()] == board.signers
        assert board.panel.threshold() == 3

    @pytest.mark.parametrize(
        ("members", "threshold", "least"),
        [(4, 2, 3), (3, 1, 2), (3, 4, 2), (1, 0, 1), (0, 0, 1), (3, 2**255, 2)],
    )
    def test_refuses_a_threshold_that_is_no_majority(self, world, members, threshold, least):
        refusal = construction(world, SIGNERS[:members], threshold)

        assert refusal == ("ArbiterPanel_ThresholdOutOfRange", threshold, least, members)

    def test_refuses_a_member_twice(self, world):
        refusal = construction(world, [*SIGNERS[:2], SIGNERS[0]], 2)

        assert refusal == ("ArbiterPanel_MemberTwice", account_of(MEMBERS[0]))

    @pytest.mark.parametrize("signer", [b"", b"\x01" * 19])
    def test_refuses_a_signer_that_nobody_can_be(self, world, signer):
        refusal = construction(world, [SIGNERS[0], signer], 2)

        assert refusal == ("ArbiterPanel_ShortSigner", len(signer), 20)
