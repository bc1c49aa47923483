"""See deposit.tree."""

import pytest
from rental import USD
from signing import P256Key, Secp256k1Key, account_of, hash_struct

SALT = b"\x05" * 32


@pytest.fixture
def payer(world):
    key = Secp256k1Key("payer")
    world.token.mint(key.address, 10 * USD, {"from": world.relayer})
    return key


class TestDeposit:
    def test_adds_the_senders_tokens_to_any_account(self, world, payer, sender):
        passkey = P256Key("passkey")
        world.token.approve(world.escrow, 4 * USD, {"from": sender(payer)})

        transaction = world.escrow.deposit(world.token, account_of(passkey), 4 * USD, {"from": sender(payer)})

        assert world.credit(passkey) == 4 * USD
        assert world.held == 4 * USD
        assert transaction.events["Deposited"]["amount"] == 4 * USD

    def test_adds_authorised_tokens_to_the_account_that_the_nonce_names(self, world, payer):
        passkey = P256Key("passkey")
        nonce = hash_struct("Deposit", {"account": account_of(passkey), "salt": SALT})
        authorization = world.authorization(payer, 4 * USD, nonce)

        transaction = world.escrow.depositWithAuthorization(
            world.token,
            payer.address,
            account_of(passkey),
            SALT,
            4 * USD,
            authorization,
            {"from": world.relayer},
        )

        assert world.credit(passkey) == 4 * USD
        assert transaction.events["Deposited"] == {
            "account": "0x" + account_of(passkey).hex(),
            "token": world.token.address,
            "amount": 4 * USD,
        }

    def test_lets_no_relayer_turn_an_authorisation_to_another_account(self, world, payer):
        nonce = hash_struct("Deposit", {"account": account_of(payer), "salt": SALT})
        authorization = world.authorization(payer, 4 * USD, nonce)
        thief = account_of(Secp256k1Key("thief"))

        refusal = world.refusal(
            world.escrow.depositWithAuthorization,
            world.token,
            payer.address,
            thief,
            SALT,
            4 * USD,
            authorization,
        )

        assert refusal == ("ERC3009InvalidSignature",)

    def test_refuses_a_token_that_is_no_contract(self, world):
        nothing = Secp256k1Key("no contract").address

        refusal = world.refusal(world.escrow.deposit, nothing, account_of(Secp256k1Key("payer")), 1)

        assert refusal == ("SafeERC20FailedOperation", nothing.lower())
