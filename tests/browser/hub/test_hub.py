"""A student logs in, chooses, waits, works and stops: all of it in a browser, as she does."""

from __future__ import annotations

import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Page, expect

from qmio_jupyter.client.sync import connect
from qmio_jupyter.config.settings import ClientSettings, GatewayAddress
from qmio_jupyter.errors import QmioError
from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing.browser import Sheet, Watch, obstacles, write_notebook
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import PASSWORD, Hub
from qmio_jupyter.testing.slurm import MiniSlurm
from tests.browser.conftest import PICTURES

NAME = "ana <'\"&> garcía"
BELL = """%%qpu --shots 500
OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made = context.new_page()
    yield made
    made.screenshot(path=PICTURES / "hub-last.png")
    context.close()


def log_in(page: Page, hub: Hub, name: str) -> None:
    page.goto(f"{hub.url}/hub/login")
    page.fill("#username_input", name)
    page.fill("#password_input", PASSWORD)
    page.click("#login_submit")
    page.wait_for_url("**/hub/spawn**")


def fill(cluster: MiniSlurm) -> None:
    """Leave no core of the cluster free."""
    for node in cluster.nodes:
        wanted = JobRequest(
            name=f"full-{node}", cpus_per_task=4, limit_min=10, output="/dev/null", directory="/tmp"
        )
        cluster.slurm().submit(b"#!/bin/sh\nexec sleep 600\n", wanted)
    wait_until(lambda: all(job.is_running for job in cluster.slurm().jobs()), "the cluster is full")


def test_a_session_from_login_to_stop(
    page: Page, hub: Hub, cluster: MiniSlurm, centre: Centre, site: Path, users: dict[str, str] | None
) -> None:
    account = pwd.getpwuid(0) if users is None else pwd.getpwnam(users[NAME])
    home = Path(account.pw_dir)
    write_notebook(home / "bell.ipynb", ["%load_ext qmio_jupyter", BELL])
    if users is not None:
        shutil.chown(home / "bell.ipynb", account.pw_uid, account.pw_gid)
    fill(cluster)

    log_in(page, hub, NAME)
    form = page.locator("#spawn_form")
    expect(form).to_contain_text("Quantum class")
    page.screenshot(path=PICTURES / "hub-form.png", full_page=True)

    def knows() -> bool:
        page.reload()
        return "0 of 3 nodes free" in (form.text_content() or "")

    # What the hub offers is as old as its last question to Slurm.
    wait_until(knows, "the form says that no node is free")
    page.get_by_text("Choose differently").click()
    expect(form).to_contain_text("0 of 3 nodes free")
    page.screenshot(path=PICTURES / "hub-form-open.png", full_page=True)
    # The button is the hub's own.
    assert obstacles(page.locator(".qmio-form")) == []

    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/hub/spawn-pending/**")
    told = page.locator("#progress-message")
    expect(told).to_contain_text("Waiting in partition all: no node of this size is free yet")
    expect(told).to_contain_text("You are next")
    assert obstacles(told) == []
    expect(told).to_contain_text("Device fake-qmio is idle")
    page.screenshot(path=PICTURES / "hub-waiting.png")
    seen = Watch(told)
    for job in cluster.slurm().jobs():
        if job.name.startswith("full-"):
            cluster.slurm().cancel(job.job_id)
    expect(told).to_contain_text("QPU session")
    page.screenshot(path=PICTURES / "hub-opening.png")
    texts = seen.texts()
    page.wait_for_url("**/user/**/lab**", timeout=90_000)
    assert any("pening the QPU session" in text or "QPU session open" in text for text in texts), texts

    (job,) = [one for one in cluster.slurm().jobs() if one.is_running]
    assert (job.user, job.licences) == (account.pw_name, {"qpu_fake-qmio": 1})
    page.goto(f"{hub.url}{hub.api(f'users/{hub.user(NAME)}')['server']}lab/tree/bell.ipynb")
    sheet = Sheet(page, cast("Any", SimpleNamespace(notebooks=home, url=hub.url, token="")), "bell.ipynb")
    sheet.ready()
    sheet.run(0)
    shown = sheet.run(1)
    expect(shown).to_contain_text("500")
    page.screenshot(path=PICTURES / "hub-lab.png")
    (key,) = Path(f"/tmp/qmio-{account.pw_uid}/jobs").glob(f"*-{job.job_id}-*/session.key")
    stolen = site / "stolen.key"
    shutil.copy(key, stolen)
    stolen.chmod(0o600)

    page.goto(f"{hub.url}/hub/home")
    page.click("#stop")
    expect(page.locator("#stop")).to_be_hidden()
    page.screenshot(path=PICTURES / "hub-stopped.png")
    wait_until(lambda: not hub.journal(), "nothing is left to undo")
    assert cluster.slurm().jobs() == ()
    assert {one.used for one in cluster.slurm().licences()} == {0}
    with pytest.raises(QmioError) as caught:
        ask_for_session(centre, stolen)
    assert caught.value.code.startswith("auth")


def ask_for_session(centre: Centre, key: Path) -> None:
    """Ask for the session that a key file opens."""
    address = centre.address()
    named = GatewayAddress(endpoint=address.endpoint, server_key=address.server_key, key_file=str(key))
    settings = ClientSettings(gateways=(named,), start_embedded=False, timeout_s=10)
    client = connect(settings=settings, start=False)
    try:
        client.session()
    finally:
        client.close()


def test_what_cannot_be_had_is_told_on_the_form(page: Page, hub: Hub) -> None:
    log_in(page, hub, "bob")
    page.get_by_text("Choose differently").click()
    page.evaluate("() => document.querySelector('#qmio-cores').removeAttribute('max')")
    page.fill("#qmio-cores", "99")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("body")).to_contain_text("99 cores do not fit on a node of partition all")
    page.screenshot(path=PICTURES / "hub-refused.png", full_page=True)
    assert hub.journal() == []


def test_a_name_without_an_account_sees_why(page: Page, hub: Hub, users: dict[str, str] | None) -> None:
    if users is None:
        pytest.skip("with one uid for all, every name has an account")
    log_in(page, hub, "<img src=x onerror=alert(1)>")
    expect(page.locator("body")).to_contain_text("has no account on this cluster")
    assert page.locator("img[src=x]").count() == 0
    page.screenshot(path=PICTURES / "hub-no-account.png", full_page=True)
