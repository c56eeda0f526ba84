"""`pip install .` from a clean checkout works; sdist and wheel carry every asset."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: What enables the server extension, below the prefix.
SERVER_CONFIG = "etc/jupyter/jupyter_server_config.d/qmio_jupyter.json"
#: Files of the package that are no Python: forgetting one breaks the product at run time.
ASSETS = [
    p.relative_to(ROOT)
    for p in (ROOT / "qmio_jupyter").rglob("*")
    if p.suffix in {".sql", ".js", ".json", ".typed"}
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clean checkout: what git tracks, as it stands in the working tree, and nothing else."""
    target = tmp_path_factory.mktemp("checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in names.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(source.read_bytes())
    return target


@pytest.fixture(scope="module")
def built(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the sdist and the wheel made from the sdist."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(checkout)],
        check=True,
        capture_output=True,
        timeout=110,
    )
    return out


def test_wheel_and_sdist_carry_every_module_and_asset(checkout: Path, built: Path) -> None:
    wheel = set(zipfile.ZipFile(next(built.glob("*.whl"))).namelist())
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        sdist = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    wanted = {str(p.relative_to(checkout)) for p in (checkout / "qmio_jupyter").rglob("*") if p.is_file()}
    assert {str(p) for p in ASSETS} & wanted
    assert wanted <= wheel
    assert wanted <= sdist


def test_the_wheel_enables_the_server_extension(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        (name,) = (n for n in wheel.namelist() if n.endswith(f".data/data/{SERVER_CONFIG}"))
        assert json.loads(wheel.read(name)) == {"ServerApp": {"jpserver_extensions": {"qmio_jupyter": True}}}


def test_pip_install_from_a_clean_checkout_works(checkout: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    # Its dependencies and its build tool come from this environment: what is tested is the package.
    site = next(p for p in sys.path if p.endswith("site-packages"))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": site, "PYTHONSAFEPATH": "1"}
    subprocess.run([*pip, "install", *options, str(checkout)], env=env, check=True, timeout=110)
    shown = subprocess.run(
        [str(python), "-c", "import qmio_jupyter as q; print(q.__version__, q.__file__)"],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert str(tmp_path) in shown
    helped = subprocess.run(
        [str(python.with_name("jupyter-qmio")), "--help"],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "devices" in helped
    assert (tmp_path / "venv" / SERVER_CONFIG).is_file()
    listed = subprocess.run(
        [str(python), "-m", "jupyter_server.extension.serverextension", "list"],
        env=env | {f"JUPYTER_{name}_DIR": str(tmp_path / "none") for name in ("CONFIG", "DATA", "RUNTIME")},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "qmio_jupyter" in listed
    assert "OK" in listed[listed.index("Validating qmio_jupyter") :]
