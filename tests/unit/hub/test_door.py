"""The door opens only where nodes can trust it: the hub's certificate must be for the host they come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from certipy import Certipy

from qmio_jupyter.errors import ConfigError
from qmio_jupyter.hub.door import Door


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """JupyterHub's settings and store of certificates."""
    made = Certipy(store_dir=str(tmp_path_factory.mktemp("certificates")))
    for name in ("hub-ca", "notebooks-ca"):
        made.create_ca(name)
    own = made.create_signed_pair("hub-internal", "hub-ca", alt_names=["IP:127.0.0.1", "DNS:hub.local"])[
        "files"
    ]
    bundle = str(Path(own["cert"]).parent / "bundle")
    Path(bundle).write_text(Path(own["cert"]).read_text())
    settings = {
        "internal_ssl_cert": own["cert"],
        "internal_ssl_key": own["key"],
        "internal_trust_bundles": {"notebooks-ca": bundle},
    }
    return settings, made.store.store


@pytest.mark.parametrize(
    ("connect", "wanted"),
    [("https://10.0.0.4:8081/hub/", "IP:10.0.0.4"), ("https://elsewhere:8081/hub/", "DNS:elsewhere")],
)
def test_a_certificate_for_another_host_is_told_with_what_mends_it(
    hub: tuple[dict[str, Any], dict[str, Any]], connect: str, wanted: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Door(*hub, bind="https://127.0.0.1:8081", connect=connect)
    assert f'trusted_alt_names = ["{wanted}"]' in caught.value.hint
