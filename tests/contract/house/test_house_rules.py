"""Rules of the house that no linter knows: sizes of files, words, secrets, what never appears in the tree."""

from __future__ import annotations

import re
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "qmio_jupyter"
SOURCES = sorted(PACKAGE.rglob("*.py"))


def tracked() -> list[Path]:
    """Return the files of the checkout that git tracks, or all source files outside a checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        return SOURCES
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_files_stay_small() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in SOURCES}
    assert statistics.median(sizes.values()) < 250
    for path, lines in sizes.items():
        assert lines <= 800, f"{path.relative_to(ROOT)} has {lines} lines; split it"
        if lines > 500:
            head = path.read_text().split('"""')[1]
            assert re.search(r"file\b.*\bbecause\b", head, re.DOTALL), (
                f"{path.name}: say why it has {lines} lines"
            )


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert path.read_text().lstrip().startswith('"""'), "a module starts with its docstring"


def test_no_pickle_and_no_shell() -> None:
    banned = re.compile(r"\b(import pickle|recv_pyobj|send_pyobj|shell=True|os\.system|os\.popen)\b")
    for path in SOURCES:
        assert not banned.search(path.read_text()), path


def test_no_registry_address_and_no_private_path_in_the_tree() -> None:
    banned = re.compile(r"pypi\.org/simple|files\.pythonhosted|registry\.npmjs|registry\.yarnpkg|/root/")
    for path in tracked():
        if path.suffix in {".png", ".bin", ".svg"} or path == Path(__file__):
            continue
        found = banned.search(path.read_text(errors="replace"))
        assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"


def test_nothing_that_a_page_gets_names_another_host() -> None:
    """Namespaces of SVG and XHTML are names, not addresses."""
    shown = [p for kind in ("js", "css", "html", "svg") for p in sorted(PACKAGE.rglob(f"*.{kind}"))]
    for path in shown:
        found = re.search(r"(https?:|wss?:)?//(?!www\.w3\.org/)[a-z0-9.-]+\.[a-z]{2,}", path.read_text())
        assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"
    for path in SOURCES:
        assert not re.search(r"unpkg|jsdelivr|cdnjs|googleapis|esm\.sh", path.read_text()), path


def test_readme_is_short_and_has_exactly_the_two_set_up_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 100
    commands = [line.split("#")[0].strip() for line in text.splitlines() if line.startswith("make ")]
    assert commands == ["make lab", "make test"]


def test_every_error_code_in_the_source_is_documented() -> None:
    from qmio_jupyter.errors import CODES

    used = set()
    for path in SOURCES:
        used |= set(re.findall(r'code="([a-z_]+(?:\.[a-z_]+)*)"', path.read_text()))
    assert used <= set(CODES), f"not in errors.CODES: {sorted(used - set(CODES))}"


def test_no_test_is_retried_or_sleeps_in_place_of_a_condition() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path == Path(__file__):
            continue
        text = path.read_text()
        assert "flaky" not in text, path
        assert "rerun" not in text.lower(), path
