"""A certificate for trying TLS, by an authority of its own that signs nothing else: its key is thrown away.

    python make_certificates.py FOLDER NAME ...   writes ca.pem, fullchain.pem and privkey.pem

NAME is a host's name or an address. A certificate that somebody else put there stays as it is (there is no
ca.pem beside it); one of ours is made again when it has other names, or fewer than 30 days left.
"""

import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=397)
RENEWED_BEFORE = timedelta(days=30)
# Clocks differ.
BACKDATED = timedelta(minutes=5)
AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hireling, to try")])


def write_certificates(folder: Path, names: list[str], *, now: datetime) -> bool:
    """Write authority, certificate and key where there are none that hold; return whether it was needed."""
    if (folder / "fullchain.pem").exists() and not _is_ours_and_outdated(folder, names, now=now):
        return False
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _authority(authority_key, now=now)
    certificate = _certificate(key, names, authority=authority, signed_by=authority_key, now=now)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # The certificate comes last: while it is missing, all three are made again.
    (folder / "fullchain.pem").unlink(missing_ok=True)
    (folder / "privkey.pem").write_bytes(private)
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(pem))
    return True


def _authority(key: ec.EllipticCurvePrivateKey, *, now: datetime) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder(AUTHORITY, key, now=now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _certificate(
    key: ec.EllipticCurvePrivateKey,
    names: list[str],
    *,
    authority: x509.Certificate,
    signed_by: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by.public_key())
    return (
        _builder(subject, key, now=now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(signed_by, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(AUTHORITY)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_ours_and_outdated(folder: Path, names: list[str], *, now: datetime) -> bool:
    if not (folder / "ca.pem").exists():
        return False
    certificate = x509.load_pem_x509_certificate((folder / "fullchain.pem").read_bytes())
    has = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ends = certificate.not_valid_after_utc
    return set(has) != {_general(name) for name in names} or ends - now < RENEWED_BEFORE


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    if len(arguments) < 2:  # a folder and a name
        print(__doc__, file=sys.stderr)
        return 64
    folder, *names = arguments
    made = write_certificates(Path(folder), names, now=datetime.now(UTC))
    print("made a certificate to try" if made else "certificates are in place")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
