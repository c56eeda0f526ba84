"""The hub signs for the address that Slurm has, whatever a request says, and nothing that is no request."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from certipy import Certipy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from qmio_jupyter.errors import AuthError, ConfigError
from qmio_jupyter.hub.certificates import Authority, make_request, names_of

NOW_MS = 1_780_000_000_000


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """An authority as JupyterHub has it."""
    made = Certipy(store_dir=str(tmp_path_factory.mktemp("certificates")))
    made.create_ca("notebooks-ca")
    return {name: one["files"] for name, one in made.store.store.items()}


@pytest.fixture(scope="module")
def authority(records: dict[str, dict[str, str]]) -> Authority:
    own = {name: Path(path) for name, path in records["notebooks-ca"].items() if path}
    return Authority(own["cert"], own["key"], own["cert"])


def test_a_certificate_is_for_the_node_and_for_the_jobs_time(
    authority: Authority, records: dict[str, dict[str, str]]
) -> None:
    key, request = make_request()
    made = authority.sign(request, address="10.0.0.7", lasts_s=3600, now_ms=NOW_MS)
    assert names_of(made.encode()) == {"10.0.0.7"}
    loaded = x509.load_pem_x509_certificate(made.encode())
    now = dt.datetime.fromtimestamp(NOW_MS / 1000, dt.UTC)
    assert loaded.not_valid_before_utc < now
    assert dt.timedelta(hours=1) < loaded.not_valid_after_utc - now < dt.timedelta(days=2)
    assert not loaded.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    private = serialization.load_pem_private_key(key, None)
    assert private.public_key() == loaded.public_key()
    loaded.verify_directly_issued_by(
        x509.load_pem_x509_certificate(Path(records["notebooks-ca"]["cert"]).read_bytes())
    )


@pytest.mark.parametrize("address", ["fd00::7", "node7.cluster"])
def test_nodes_may_have_other_addresses(authority: Authority, address: str) -> None:
    made = authority.sign(make_request()[1], address=address, lasts_s=60, now_ms=NOW_MS)
    assert names_of(made.encode()) == {address}


def test_names_and_rights_that_a_request_asks_for_are_not_given(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    asked = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hub.example.org")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    made = authority.sign(asked, address="10.0.0.7", lasts_s=60, now_ms=NOW_MS).encode()
    assert names_of(made) == {"10.0.0.7"}
    found = x509.load_pem_x509_certificate(made).extensions.get_extension_for_class(x509.BasicConstraints)
    assert not found.value.ca


def weak() -> str:
    """Return a request for a key of another kind."""
    key = rsa.generate_private_key(65537, 1024)
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def forged() -> str:
    """Return a request whose signature is not its key's."""
    request = x509.load_pem_x509_csr(make_request()[1].encode())
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    "request_", ["", "é", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", weak(), forged()]
)
def test_what_is_no_request_is_refused(authority: Authority, request_: str) -> None:
    with pytest.raises(AuthError):
        authority.sign(request_, address="10.0.0.7", lasts_s=60, now_ms=NOW_MS)


def test_an_authority_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="internal_certs_location"):
        Authority(tmp_path / "a", tmp_path / "b", tmp_path / "c")
