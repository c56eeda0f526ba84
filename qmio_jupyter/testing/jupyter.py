"""A real Jupyter server of this environment on loopback: JupyterLab and Notebook 7 in a home of their own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from qmio_jupyter.testing.homes import Home

#: How long the server may take to answer, on a machine that has other work too.
START_S = 60.0
#: How long it may take to end its kernels and itself.
STOP_S = 20.0
#: What a new user is asked or told, and what would look for news elsewhere; all of it off.
_SETTINGS: dict[str, dict[str, Any]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


class Jupyter:
    """A server process that serves JupyterLab at ``/lab`` and Notebook 7 at ``/notebooks``.

    Parameters
    ----------
    home : Home
        Where its kernels find their gateway.
    root : Path
        A directory that exists: settings, runtime files, and the notebooks in ``root / "notebooks"``.
    environ : mapping, optional
        More environment for the server and its kernels.
    """

    def __init__(self, home: Home, root: Path, environ: dict[str, str] | None = None) -> None:
        self.home, self.root = home, root
        self.token = secrets.token_hex(16)
        self.notebooks = root / "notebooks"
        self.notebooks.mkdir()
        self._settings = root / "settings"
        self.forget_settings()
        kept = {k: v for k, v in home.environ().items() if not k.startswith(("JUPYTER", "IPYTHON", "XDG_"))}
        self.environ = kept | {
            "HOME": str(root),
            "IPYTHONDIR": str(root / "ipython"),
            "JUPYTER_CONFIG_DIR": str(root / "config"),
            "JUPYTER_DATA_DIR": str(root / "data"),
            "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(self._settings),
            "JUPYTERLAB_WORKSPACES_DIR": str(root / "workspaces"),
            "JUPYTER_TOKEN": self.token,
            **(environ or {}),
        }
        self._log = (root / "server.log").open("wb")
        self._process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0"),
                f"--ServerApp.root_dir={self.notebooks}",
                "--LabApp.expose_app_in_browser=True",
                "--JupyterNotebookApp.expose_app_in_browser=True",
                *(["--allow-root"] if os.geteuid() == 0 else []),
            ],
            cwd=root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self.url = self._until_it_answers()
        except BaseException:
            self.stop()
            raise

    def forget_settings(self) -> None:
        """Go back to a new user's settings; pages that are open keep theirs."""
        shutil.rmtree(self._settings, ignore_errors=True)
        for name, values in _SETTINGS.items():
            path = self._settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))

    def log(self) -> str:
        """Return what the server has logged."""
        return (self.root / "server.log").read_text(errors="replace")

    def api(self, path: str, method: str = "GET") -> Any:
        """Return the answer of the server's REST interface at `path`, None if it has no body."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/api/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            body = reply.read()
        return json.loads(body) if body else None

    def stop(self) -> None:
        """End the server and its kernels; kill it if it does not."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_S)
        self._log.close()

    def _until_it_answers(self) -> str:
        """Return the server's address without a slash at its end."""
        written = self.root / "runtime" / f"jpserver-{self._process.pid}.json"
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise AssertionError(
                    f"the Jupyter server ended with {self._process.returncode}: {self.log()}"
                )
            try:
                self.url = f"http://127.0.0.1:{json.loads(written.read_text())['port']}"
                self.api("status")
            except (OSError, ValueError, urllib.error.URLError):
                time.sleep(0.05)
                continue
            return self.url
        raise AssertionError(f"the Jupyter server did not answer within {START_S:g} s: {self.log()}")
