# ruff: noqa: INP001, S603, T201 - a program that runs programs and prints its result
"""Runs every fuzz target for some seconds, from the corpus that is kept, and says what was run and found.

Exit status 0 only if no input made a reader raise what is none of our errors, take longer than `SECONDS_EACH` for one
input, or need more memory than `MEMORY_MIB` in all. An input that did is kept under ``--findings``, and the line
printed beside it runs it again.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from targets import TARGETS

HERE = Path(__file__).parent
SECONDS_EACH = 5
MEMORY_MIB = 512
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_PEAK = re.compile(r"stat::peak_rss_mb:\s*(\d+)")
_COVERAGE = re.compile(r"cov: (\d+)")


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only these")
    parser.add_argument("--seed", type=int, default=0, help="0: another each time")
    parser.add_argument("--findings", type=Path, default=Path(tempfile.gettempdir()) / "sealroom-fuzz")
    parser.add_argument("--grow", type=Path, help="put inputs that reach something new under this folder")
    options = parser.parse_args()
    results = [fuzz(name, options) for name in options.target or sorted(TARGETS)]
    found = sum(result["findings"] != [] for result in results)
    print(json.dumps({"summary": {"executions": sum(result["executions"] for result in results),
                                  "targets": len(results), "targets_with_findings": found}}))  # fmt: skip
    return 1 if found else 0


def fuzz(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Run one target in a process of its own."""
    findings = options.findings / name
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    with tempfile.TemporaryDirectory(prefix="sealroom-fuzz-") as scratch:
        grown = scratch if options.grow is None else str(options.grow / name)
        Path(grown).mkdir(parents=True, exist_ok=True)
        said = _run(name, grown, findings, options)
    inputs = sorted(str(path) for path in set(findings.iterdir()) - before)
    executed, peak = _EXECUTED.search(said), _PEAK.search(said)
    covered = _COVERAGE.findall(said)
    result = {
        "target": name,
        "executions": int(executed[1]) if executed else 0,
        "branches": int(covered[-1]) if covered else 0,
        "peak_mib": int(peak[1]) if peak else None,
        "findings": inputs,
    }
    print(json.dumps(result), flush=True)
    if inputs or not executed:
        result["findings"] = inputs or ["the fuzzer did not end as it should"]
        print(said[-4000:], file=sys.stderr)
        print("again: " + " ".join([sys.executable, str(HERE / "one.py"), name, *inputs[:1]]), file=sys.stderr)
    return result


def _run(name: str, grown: str, findings: Path, options: argparse.Namespace) -> str:
    command = [sys.executable, str(HERE / "one.py"), name, grown, str(HERE / "corpus" / name),
               f"-max_total_time={options.seconds}", f"-max_len={TARGETS[name].longest}", f"-timeout={SECONDS_EACH}",
               f"-rss_limit_mb={MEMORY_MIB}", f"-artifact_prefix={findings}/", f"-seed={options.seed}",
               "-print_final_stats=1", "-verbosity=1"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), str(HERE)])}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    return done.stderr + done.stdout


if __name__ == "__main__":
    sys.exit(main())
