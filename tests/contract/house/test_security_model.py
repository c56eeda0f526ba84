"""The security model claims only what is tried: each test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "explanation" / "security-model.md"
_NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def named() -> list[tuple[str, str]]:
    return _NAMED.findall(PAGE.read_text())


def test_every_named_test_exists() -> None:
    absent = []
    for path, test in named():
        file = ROOT / "tests" / path
        tree = ast.parse(file.read_text()) if file.exists() else ast.Module([], [])
        names = {
            one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        if test not in names:
            absent.append(f"{path}::{test}")
    assert not absent


def test_every_row_names_one() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    claims = [row for row in rows if not row.endswith("| test |")]
    assert len(claims) > 30
    assert not [row for row in claims if _NAMED.search(row) is None]
