"""Keys at rest: Web3 Secret Storage files (version 3), encrypted under one passphrase.

Every Ethereum wallet opens them.

A P-256 key is stored in the same format with a field ``curve``; the passphrase comes from the environment or
from a file that only its owner may read. Nothing here ever prints or logs a secret.
"""

import json
import re
import secrets
from pathlib import Path
from typing import Any, Literal

from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json

from hireling.durable import make_private_folder, write_atomically
from hireling.rental.signing import P256Key, Secp256k1Key

# Half of the standard's light setting: 40 ms here; the passphrase itself has 256 random bits unless a
# person chose it.
SCRYPT_N = 1 << 13
KEY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
Curve = Literal["secp256k1", "P-256"]
Key = Secp256k1Key | P256Key


class KeystoreError(Exception):
    """A key file or passphrase cannot be used; the message says which and why, never a secret."""


def passphrase_in(home: Path) -> str:
    """Return the passphrase kept in ``home``; the first call makes a random one.

    Raises KeystoreError if others may read it.
    """
    path = make_private_folder(home) / "passphrase"
    if not path.exists():
        write_atomically(path, secrets.token_urlsafe(32).encode())
    if path.stat().st_mode & 0o077:
        raise KeystoreError(f"{path} can be read by others: run chmod 600 {path}")
    text = path.read_text().strip()
    if not text:
        raise KeystoreError(f"{path} is empty: put your passphrase into it, or set HIRELING_PASSPHRASE")
    return text


class Keystore:
    """A folder of encrypted keys, one file a key."""

    def __init__(self, folder: Path, *, passphrase: str) -> None:
        self._folder = folder
        self._passphrase = passphrase

    def __repr__(self) -> str:
        return f"Keystore({self._folder})"

    def __contains__(self, name: str) -> bool:
        return self._path(name).exists()

    def load(self, name: str) -> Key:
        """Return the named key. Raises KeystoreError if there is none or the passphrase does not open it."""
        path = self._path(name)
        if not path.exists():
            raise KeystoreError(f"there is no key {path}")
        return _decrypt(_read(path), self._passphrase, path)

    def create(self, name: str, curve: Curve = "secp256k1") -> Key:
        """Make a new key, safe on disk before it is returned. Raises KeystoreError when the name is taken."""
        path = self._path(name)
        if path.exists():
            raise KeystoreError(f"{path} exists: a key is never replaced")
        key: Key = Secp256k1Key.generate() if curve == "secp256k1" else P256Key.generate()
        make_private_folder(self._folder)
        write_atomically(path, _encrypt(key, self._passphrase))
        return key

    def load_or_create(self, name: str, curve: Curve = "secp256k1") -> Key:
        """Return the named key, made now if there is none."""
        return self.load(name) if name in self else self.create(name, curve)

    def secp256k1(self, name: str) -> Secp256k1Key:
        """Return the named key, made now if there is none. Raises KeystoreError if it is on another curve."""
        key = self.load_or_create(name)
        if not isinstance(key, Secp256k1Key):
            raise KeystoreError(f"{self._path(name)} holds a P-256 key where a secp256k1 key is needed")
        return key

    def export(self, name: str, *, passphrase: str) -> bytes:
        """Return a backup of the named key: the same format, encrypted under another passphrase."""
        return _encrypt(self.load(name), passphrase)

    def restore(self, name: str, backup: bytes, *, passphrase: str) -> Key:
        """Take a key out of a backup and keep it under this store's passphrase.

        Raises KeystoreError when the name is taken.
        """
        path = self._path(name)
        if path.exists():
            raise KeystoreError(f"{path} exists: a key is never replaced")
        key = _decrypt(_parse(backup, path), passphrase, path)
        make_private_folder(self._folder)
        write_atomically(path, _encrypt(key, self._passphrase))
        return key

    def _path(self, name: str) -> Path:
        if not KEY_NAME.fullmatch(name):
            raise KeystoreError(f"{name!r} is no key name: small letters, digits, - and _")
        return self._folder / f"{name}.json"


def seal(key: Key, passphrase: str) -> bytes:
    """Return a key's file, encrypted under a passphrase: for what is kept elsewhere than in a folder."""
    return _encrypt(key, passphrase)


def unseal(content: bytes, *, passphrase: str, name: str) -> Key:
    """Return the key in such a file. Raises KeystoreError, which names it so."""
    return _decrypt(_parse(content, Path(name)), passphrase, Path(name))


def _encrypt(key: Key, passphrase: str) -> bytes:
    stored: dict[str, Any] = dict(
        create_keyfile_json(key.secret, passphrase, kdf="scrypt", iterations=SCRYPT_N)
    )
    if isinstance(key, P256Key):
        # The format's address would be that of the same number on another curve.
        del stored["address"]
        stored |= {"curve": "P-256", "public": key.identity.hex()}
    return json.dumps(stored, indent=1).encode()


def _read(path: Path) -> dict[str, Any]:
    return _parse(path.read_bytes(), path)


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(content)
    except ValueError as error:
        raise KeystoreError(f"{path}: not a key file: {error}") from error
    if not isinstance(stored, dict) or stored.get("version") != 3:
        raise KeystoreError(f"{path}: not a version 3 key file")
    return stored


def _decrypt(stored: dict[str, Any], passphrase: str, path: Path) -> Key:
    try:
        secret = bytes(decode_keyfile_json(stored, passphrase))
    except (ValueError, KeyError, TypeError) as error:
        raise KeystoreError(f"{path}: the passphrase does not open it ({error})") from None
    key: Key = (
        P256Key.from_secret(secret) if stored.get("curve") == "P-256" else Secp256k1Key.from_secret(secret)
    )
    named = stored.get("public") or stored.get("address", "")
    if named.removeprefix("0x").lower() != key.identity.hex():
        raise KeystoreError(f"{path}: the key inside belongs to another address than the file says")
    return key
