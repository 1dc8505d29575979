"""The test PKI by another implementation: python-cryptography."""
import datetime

import pytest

from servers import make_pki

cryptography = pytest.importorskip("cryptography")
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402


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
