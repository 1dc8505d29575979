"""Identities by another implementation: tokens and certificates that we signed, checked by
python-cryptography."""
import base64
import datetime
import json
import os
import subprocess
from pathlib import Path

import pytest

from servers import TLSOAK, make_pki

cryptography = pytest.importorskip("cryptography")
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils  # noqa: E402

SIGNER = Path(TLSOAK).parent / "tests" / "test_ident_jwt"


def decode(segment):
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def verify(algorithm, key, signature, message):
    if algorithm == "RS256":
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    elif algorithm == "ES256":
        assert len(signature) == 64
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    else:
        key.verify(signature, message)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    if not SIGNER.exists():
        pytest.skip(f"{SIGNER} is not built")
    dump = tmp_path_factory.mktemp("tokens")
    subprocess.run([SIGNER], env={**os.environ, "TLSOAK_DUMP": str(dump)}, check=True,
                   capture_output=True)
    return dump


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_tokens(tokens, algorithm):
    key = serialization.load_pem_public_key((tokens / f"{algorithm}.pub").read_bytes())
    found = sorted(tokens.glob(f"{algorithm}-*.jwt"))
    assert len(found) == 20
    seen = set()
    for path in found:
        header, claims, signature = path.read_text().split(".")
        assert json.loads(decode(header)) == {"alg": algorithm, "typ": "JWT"}
        verify(algorithm, key, decode(signature), f"{header}.{claims}".encode())
        payload = json.loads(decode(claims))
        n = path.stem.split("-")[1]
        assert payload["sub"] == f"user-{n}"
        assert payload["exp"] == payload["iat"] + 60 and payload["nbf"] == payload["iat"]
        seen.add(payload["jti"])
    assert len(seen) == 20


def aware(certificate, name):
    """The time with its zone; cryptography before 42 gives it without."""
    time = getattr(certificate, name + "_utc", None) or getattr(certificate, name)
    return time.replace(tzinfo=datetime.timezone.utc)


def test_pki(tmp_path):
    make_pki(tmp_path / "pki", 3)
    ca = x509.load_pem_x509_certificate((tmp_path / "pki" / "ca.pem").read_bytes())
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    now = datetime.datetime.now(datetime.timezone.utc)
    for n in (1, 2, 3):
        text = (tmp_path / "pki" / "clients" / f"client-{n}.pem").read_bytes()
        client = x509.load_pem_x509_certificate(text)
        key = serialization.load_pem_private_key(text, None)
        ca.public_key().verify(client.signature, client.tbs_certificate_bytes,
                               ec.ECDSA(client.signature_hash_algorithm))
        assert client.issuer == ca.subject
        assert client.public_key().public_numbers() == key.public_key().public_numbers()
        assert client.subject.rfc4514_string() == f"CN=client-{n}"
        assert aware(client, "not_valid_before") <= now <= aware(client, "not_valid_after")
        usage = client.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
        assert client.serial_number.bit_length() > 120
