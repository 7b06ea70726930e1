"""Pages that are written from tables say what the tables say."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "layout_pages.py"


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("layout_pages", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_reference_page_is_stale(pages):
    assert [path.name for path in pages.stale()] == []


def test_a_page_that_says_something_else_is_found_stale(pages, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "REFERENCE", tmp_path)
    assert len(pages.stale()) == 1
    (tmp_path / "snp-report.md").write_text(pages.snp_report() + "and more")
    assert len(pages.stale()) == 1
    (tmp_path / "snp-report.md").write_text(pages.snp_report())
    assert pages.stale() == []


def test_the_check_says_so_with_its_exit_status():
    assert subprocess.run([sys.executable, str(SCRIPT), "--check"], check=False).returncode == 0
