"""Settings and keys."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from hireling.keystore import KeystoreError
from services.settlement.keys import Keys
from services.settlement.settings import SettlementSettings


class TestSettings:
    def test_are_read_under_their_prefix(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SETTLEMENT_CLAIM_EVERY", "5")
        assert SettlementSettings().claim_every == 5

    @pytest.mark.parametrize("size", [0, 257])
    def test_refuse_a_batch_that_the_escrow_would(self, size: int) -> None:
        with pytest.raises(ValidationError):
            SettlementSettings(batch_size=size)

    def test_refuse_a_fee_that_the_escrow_would(self) -> None:
        with pytest.raises(ValidationError):
            SettlementSettings(fee_bps=1_001)


class TestKeys:
    def test_are_the_same_after_a_restart_and_encrypted_at_rest(self, tmp_path: Path) -> None:
        settings = SettlementSettings(keys=tmp_path / "keys")
        first, second = Keys(settings), Keys(settings)
        assert (first.relayer(0).secret, first.bills.secret) == (
            second.relayer(0).secret,
            second.bills.secret,
        )
        assert first.relayer(0).identity != first.bills.identity
        stored = b"".join(path.read_bytes() for path in (tmp_path / "keys").iterdir())
        assert first.relayer(0).secret.hex().encode() not in stored
        assert first.relayer(0).secret.hex() not in repr(first)

    def test_do_not_open_with_another_passphrase(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Keys(SettlementSettings(keys=tmp_path / "keys"))
        monkeypatch.setenv("SETTLEMENT_PASSPHRASE", "another")
        with pytest.raises(KeystoreError):
            Keys(SettlementSettings(keys=tmp_path / "keys"))
