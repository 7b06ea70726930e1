"""``sealroom gym``: exit status, lines, and the search for one mutation by its name."""

import json

import pytest
from typer.testing import CliRunner

from sealroom.cli.main import build
from sealroom.testing.gym import judges


def run(*arguments):
    result = CliRunner().invoke(build(["gym"]), ["gym", *map(str, arguments)])
    return result.exit_code, result.stdout.splitlines(), result.exception


@pytest.fixture
def folder(shared_vectors):
    return shared_vectors / "snp" / "v2-milan-vcek"


def test_a_run_that_finds_nothing_of_ours_ends_well(folder):
    status, lines, _ = run(folder, "--limit", "40")
    assert status == 0
    assert lines[0].startswith("80 mutations")  # and 40 of the same under own keys
    assert "original accepted 2" in lines[1]


def test_json_lines_end_with_the_summary_and_one_name_reproduces_one_mutation(folder):
    status, lines, _ = run(folder, "--json", "--only", "v2-milan-vcek/report: measurement: zeros")
    assert status == 0
    assert json.loads(lines[-1])["summary"]["made"] == {"forgery": 1}


def test_a_forgery_that_ours_accepts_is_told_and_the_status_says_so(folder, monkeypatch):
    monkeypatch.setattr(judges.Ours, "judge", lambda *_: judges.Answer(accepted=True, word="accepted"))
    status, lines, _ = run(folder, "--json", "--only", "report: measurement")
    assert status == 1
    first = json.loads(lines[0])
    assert (first["verifier"], first["what"], first["level"]) == ("sealroom", "accepted a forgery", "field")


def test_a_folder_without_samples_is_an_error_and_not_a_success(shared_vectors):
    _, _, error = run(shared_vectors / "kbs")
    assert getattr(error, "code", None) == "gym.no-originals"
