"""A server's certificate for the hub's internal TLS: the key is made on its node and never leaves it; the hub signs.

The hub signs with the authority that JupyterHub has for single-user servers, for the address at which Slurm reaches the
node: what a request says of addresses and names is not looked at.
"""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qmio_jupyter.errors import AuthError, ConfigError

#: Seconds for which a certificate is good before it is made: clocks differ.
SKEW_S = 300.0
#: Seconds beyond the job's time: an operator may give it more.
GRACE_S = 86_400.0


def make_request() -> tuple[bytes, str]:
    """Return a new private key (PEM) and the request for its certificate (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, request.public_bytes(serialization.Encoding.PEM).decode("ascii")


class Authority:
    """Signs the certificates of one hub's servers.

    Parameters
    ----------
    certificate, key : Path
        The authority's own, PEM.
    trusted : Path
        Bundle of the authorities whose clients a server answers: the hub's and the proxy's.

    Raises
    ------
    ConfigError
        If they cannot be read.
    """

    def __init__(self, certificate: Path, key: Path, trusted: Path) -> None:
        try:
            self._certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
            loaded = serialization.load_pem_private_key(key.read_bytes(), None)
            self.trusted = trusted.read_text("ascii")
        except (OSError, ValueError, TypeError) as problem:
            raise ConfigError(
                f"the hub's authority for servers cannot be read ({problem})",
                hint="Look at c.JupyterHub.internal_certs_location.",
            ) from None
        self._key = loaded

    def sign(self, request: str, *, address: str, lasts_s: float, now_ms: int) -> str:
        """Return the certificate (PEM) of a server at `address`.

        Parameters
        ----------
        request : str
            As `make_request` makes it.
        address : str
            IP address or name at which hub and proxy reach the server.
        lasts_s : float
            Seconds for which its job may run.
        now_ms : int
            Milliseconds since the Unix epoch.

        Raises
        ------
        AuthError
            ``auth.credential`` if it is no request for a P-256 key signed by that key.
        """
        key = _key_of(request)
        now = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "single-user server")]))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(seconds=SKEW_S))
            .not_valid_after(now + dt.timedelta(seconds=lasts_s + GRACE_S))
            .add_extension(x509.SubjectAlternativeName([_name(address)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(_issuer_of(self._certificate), critical=False)
        )
        made = builder.sign(self._key, hashes.SHA256())  # type: ignore[arg-type]
        return made.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _key_of(request: str) -> ec.EllipticCurvePublicKey:
    """Return the key that a request is for, and signed by."""
    try:
        asked = x509.load_pem_x509_csr(request.encode("ascii"))
        key = asked.public_key()
        is_good = asked.is_signature_valid
        if is_good and isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            return key
    except (ValueError, InvalidSignature):
        pass
    raise AuthError("the request for a certificate is not good", code="auth.credential")


def _name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _issuer_of(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(certificate.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def names_of(certificate: bytes) -> frozenset[str]:
    """Return the names and addresses that a certificate (PEM) is for."""
    loaded = x509.load_pem_x509_certificate(certificate)
    try:
        found = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    hosts = (*found.get_values_for_type(x509.DNSName), *found.get_values_for_type(x509.IPAddress))
    return frozenset(str(one) for one in hosts)


def binary(certificate: bytes) -> bytes:
    """Return a certificate (PEM) in its binary form (DER)."""
    return x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
