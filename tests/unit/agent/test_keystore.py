"""Keys at rest: encrypted, private, never replaced, never shown."""

import json
from pathlib import Path

import pytest

from hireling.keystore import Keystore, KeystoreError, passphrase_in


def a_keystore(folder: Path) -> Keystore:
    return Keystore(folder / "keys", passphrase="correct horse")


class TestKeystore:
    @pytest.mark.parametrize("curve", ["secp256k1", "P-256"])
    def test_gives_the_same_key_back(self, tmp_path: Path, curve: str) -> None:
        made = a_keystore(tmp_path).load_or_create("meter", curve)  # type: ignore[arg-type]

        again = a_keystore(tmp_path).load_or_create("meter", curve)  # type: ignore[arg-type]

        assert again.identity == made.identity
        assert again.secret == made.secret

    def test_keeps_the_secret_out_of_the_file_and_of_its_words(self, tmp_path: Path) -> None:
        keys = a_keystore(tmp_path)
        made = keys.create("wallet")

        content = (tmp_path / "keys" / "wallet.json").read_text()

        assert made.secret.hex() not in content
        assert made.secret.hex() not in repr(made) + repr(keys)
        assert json.loads(content)["crypto"]["kdf"] == "scrypt"
        assert (tmp_path / "keys" / "wallet.json").stat().st_mode & 0o777 == 0o600

    def test_refuses_a_wrong_passphrase_without_showing_it(self, tmp_path: Path) -> None:
        a_keystore(tmp_path).create("wallet")

        with pytest.raises(KeystoreError, match="does not open it") as refused:
            Keystore(tmp_path / "keys", passphrase="hunter2").load("wallet")
        assert "hunter2" not in str(refused.value)

    def test_never_replaces_a_key(self, tmp_path: Path) -> None:
        keys = a_keystore(tmp_path)
        keys.create("wallet")

        with pytest.raises(KeystoreError, match="never replaced"):
            keys.create("wallet")

    def test_a_backup_opens_under_its_own_passphrase(self, tmp_path: Path) -> None:
        made = a_keystore(tmp_path).create("wallet")
        backup = a_keystore(tmp_path).export("wallet", passphrase="battery staple")

        restored = a_keystore(tmp_path / "new").restore("wallet", backup, passphrase="battery staple")

        assert restored.identity == made.identity

    def test_refuses_a_file_whose_address_was_changed(self, tmp_path: Path) -> None:
        a_keystore(tmp_path).create("wallet")
        path = tmp_path / "keys" / "wallet.json"
        stored = json.loads(path.read_text())
        path.write_text(json.dumps(stored | {"address": "11" * 20}))

        with pytest.raises(KeystoreError, match="belongs to another address"):
            a_keystore(tmp_path).load("wallet")

    @pytest.mark.parametrize("name", ["../wallet", "", "Wallet", "a/b"])
    def test_refuses_names_that_leave_the_folder(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(KeystoreError, match="no key name"):
            a_keystore(tmp_path).create(name)


class TestPassphrase:
    def test_is_made_once_and_private(self, tmp_path: Path) -> None:
        first = passphrase_in(tmp_path / "home")

        assert passphrase_in(tmp_path / "home") == first
        assert (tmp_path / "home" / "passphrase").stat().st_mode & 0o777 == 0o600

    def test_is_refused_when_others_can_read_it(self, tmp_path: Path) -> None:
        passphrase_in(tmp_path)
        (tmp_path / "passphrase").chmod(0o644)

        with pytest.raises(KeystoreError, match="chmod 600"):
            passphrase_in(tmp_path)
