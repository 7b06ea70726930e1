"""Writes the reference pages of binary formats from the tables that the parsers are made of.

python scripts/layout_pages.py           write them
python scripts/layout_pages.py --check   exit 1 if one is stale (a test does the same)
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from sealroom.tees.snp.layout import REPORT, SIGNED_SIZE, VERSIONS
from sealroom.tees.snp.tcb import PARTS

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"


def snp_report() -> str:
    """The page of the SNP attestation report."""
    versions = ", ".join(str(version) for version in VERSIONS)
    tcb = ["| byte | " + " | ".join(PARTS) + " |", "|---|" + "---|" * len(PARTS)]
    for byte in range(8):
        names = [next((part for part, place in parts.items() if place == byte), "zero") for parts in PARTS.values()]
        tcb.append(f"| {byte} | " + " | ".join(names) + " |")
    return "\n".join(
        (
            "# The SEV-SNP attestation report",
            "",
            "<!-- written by scripts/layout_pages.py from src/sealroom/tees/snp/layout.py; do not edit -->",
            "",
            f"{REPORT.size} bytes, no fewer and no more; versions {versions}. Integers are little-endian.",
            f"The signature covers bytes 0 to 0x{SIGNED_SIZE - 1:X}. Reserved bytes must be zero, and what a version",
            "does not have yet (column *since*) is reserved in it. Sections are those of AMD document 56860.",
            "",
            REPORT.markdown(),
            "## TCB versions",
            "",
            "Eight bytes; what each stands for depends on the product. They are compared part by part, never as one",
            "number.",
            "",
            *tcb,
            "",
        )
    )


def pages() -> Mapping[Path, str]:
    """Every page and what it should say."""
    return {REFERENCE / "snp-report.md": snp_report()}


def stale() -> list[Path]:
    """The pages that do not say what they should."""
    return [path for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def main() -> int:
    """Write the pages, or say which are stale."""
    if "--check" in sys.argv[1:]:
        for path in stale():
            print(f"stale: {path.name}; run scripts/layout_pages.py", file=sys.stderr)
        return 1 if stale() else 0
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
