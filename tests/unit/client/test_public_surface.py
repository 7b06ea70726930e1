"""What `import sealroom` gives, and what it costs."""

import subprocess
import sys

import sealroom
from sealroom.errors import UnverifiedError


def test_everything_that_is_promised_is_there() -> None:
    assert all(callable(getattr(sealroom, name)) for name in sealroom.__all__)


def test_the_package_alone_imports_nothing_heavy() -> None:
    program = "import sys, sealroom; print([m for m in ('httpx', 'cryptography', 'aiohttp') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_reason_is_found_below_other_peoples_errors() -> None:
    ours = UnverifiedError("a.b", "c")
    theirs = RuntimeError("wrapped")
    theirs.__cause__ = ours
    assert sealroom.reason(theirs) is ours
    assert sealroom.reason(RuntimeError("alone")) is None
