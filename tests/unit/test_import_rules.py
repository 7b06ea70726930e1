"""Who may import whom, and where sockets, files, clocks and threads may be: the house rules, read off the source.

Walks the syntax trees and imports nothing. The table is that of design.md section 3, with the parts that came since.
"""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

import sealroom

ROOT = Path(sealroom.__file__).parent
MODULES = {
    ".".join(("sealroom", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}

# Each row may import the rows above it, and modules of its own part. The first pattern that fits decides.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("evidence", "binding", "fixed_layout", "der", "pem", "toml_keys"),
    ("device_statement", "x509_scheme", "x509_extensions"),
    ("statement", "x509_reader"),
    ("x509_chain",),
    ("cbor", "jose"),
    ("measure",),
    ("tees", "collateral", "channel", "kbs", "sealed"),
    ("policy",),
    ("ear",),
    ("verifier",),
    ("tees.*.collect", "collateral.fetch", "collateral.cache", "sealed.stores", "engines", "clouds"),
    ("collect",),
    ("broker", "room", "client", "relay"),
    ("gateway",),
    ("doctor",),
    ("testing",),
    ("embedded",),
    ("attacks",),
    ("cli",),
    ("__main__",),
)


ACROSS = {"registry", "needs", "windows"}
"""Tables of all TEEs: each is one file, and the only one to change for a further TEE."""
WRAPPERS = {"azure_vtpm", "gcp"}
"""What a cloud puts around another TEE gets the verifier of the inner one from the registry."""


def place_of(module: str) -> tuple[int, str]:
    """Row and part of a module; the most exact pattern wins, so that ``sealed.stores`` is not ``sealed``."""
    inner = module.removeprefix("sealroom.")
    found = [
        (len(pattern), row, pattern)
        for row, patterns in enumerate(ROWS)
        for pattern in patterns
        if fnmatch(inner, pattern) or fnmatch(inner, f"{pattern}.*")
    ]
    assert found, f"{module} is in no row of the table: say where it belongs"
    _, row, pattern = max(found)
    return row, pattern


def is_package_itself(module: str) -> bool:
    return module == "sealroom"


def imports_of(module: str, *, also_for_types: bool = False) -> Iterator[str]:
    """Every module of ours that ``module`` imports, at its top or inside a function."""
    tree = TREES[module]
    skipped = set() if also_for_types else {id(node) for node in typing_only(tree)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "sealroom")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            if node.module and node.module.split(".")[0] == "sealroom":
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    yield inner if inner in MODULES else node.module


def typing_only(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from ast.walk(node)


def test_each_module_imports_only_what_stands_above_it():
    wrong = []
    for module in MODULES:
        if is_package_itself(module):
            continue
        row, part = place_of(module)
        for imported in imports_of(module):
            if is_package_itself(imported):
                continue
            other_row, other_part = place_of(imported)
            # rows of single files ("evidence", "binding") are parts of their own; a package is one part
            if other_row > row or (other_row == row and other_part.split(".")[0] != part.split(".")[0]):
                wrong.append(f"{module} imports {imported}")
    assert wrong == []


def test_the_package_root_offers_the_client_and_nothing_that_stands_below_it():
    row, _ = place_of("sealroom.client")
    assert [name for name in imports_of("sealroom", also_for_types=True) if place_of(name)[0] > row] == []


def test_a_tee_never_imports_another_tee():
    """Rule 1. Private siblings (``tees._dcap``) are for sharing; the registry alone knows all."""
    wrong = []
    for module in MODULES:
        parts = module.split(".")
        if parts[:2] != ["sealroom", "tees"] or len(parts) < 3 or parts[2] in ACROSS:
            continue
        for imported in imports_of(module):
            other = imported.split(".")
            if other[:2] == ["sealroom", "tees"] and len(other) > 2 and other[2] != parts[2] and other[2][0] != "_":
                if other[2] == "registry" and parts[2] in WRAPPERS:
                    continue
                wrong.append(f"{module} imports {imported}")
    assert wrong == []


@pytest.mark.parametrize("part", ["channel", "sealed"])
def test_channel_and_sealed_know_no_attestation(part):
    """Rule 2. They know the type `AttestedKey`, not how one is earned; nor does anything that they import."""
    reached, waiting = set(), [module for module in MODULES if module.startswith(f"sealroom.{part}")]
    assert waiting
    while waiting:
        module = waiting.pop()
        if module in reached or is_package_itself(module):
            continue
        reached.add(module)
        waiting.extend(imports_of(module))
    forbidden = ("sealroom.tees", "sealroom.policy", "sealroom.verifier")
    assert sorted(module for module in reached if module.startswith(forbidden)) == []


def test_a_room_needs_nothing_of_broker_testing_or_gateway():
    wrong = [
        f"{module} imports {imported}"
        for module in MODULES
        if module.startswith("sealroom.room")
        for imported in imports_of(module)
        if imported.startswith(("sealroom.broker", "sealroom.testing", "sealroom.gateway"))
    ]
    assert wrong == []


def test_only_the_registry_and_the_simulated_hardware_name_one_tee():
    """A part that knew SNP by name would have to be changed for each further TEE."""
    knows = ("sealroom.tees.", "sealroom.collect", "sealroom.testing.", "sealroom.policy.", "sealroom.cli.",
             "sealroom.kbs.", "sealroom.attacks.", "sealroom.embedded.", "sealroom.doctor.")  # fmt: skip
    wrong = [
        f"{module} imports {imported}"
        for module in MODULES
        if not module.startswith(knows)
        for imported in imports_of(module)
        if imported.startswith("sealroom.tees.")
        and imported.removeprefix("sealroom.tees.") not in ACROSS
        and not imported.startswith("sealroom.tees._cose")  # a format of others' as well: results are signed in it
    ]
    assert wrong == []


# Rule 3: sockets, files, clocks, environment, threads.

NAMED_FOR_IT = frozenset(
    {"collect", "fetch", "cache", "store", "stores", "keystores", "transport", "service", "app", "cli"}
)
"""A file is named for I/O if one of these stands in its path as a word: ``queue_service.py``, ``sealed/stores/…``."""

WHOLLY_IO = ("sealroom.engines", "sealroom.embedded", "sealroom.attacks")
"""What runs processes and systems; `engines` by the rule itself."""

EXCEPTIONS = {
    "sealroom.__main__": "the command line's other door",
    "sealroom.broker.admin_client": "speaks to the broker's administration port",
    "sealroom.client.clients": "builds httpx clients and hands them out; opens nothing itself",
    "sealroom.client.conversation": "reads an httpx response that the caller opened",
    "sealroom.client.httpx_words": "translates httpx's words, and opens nothing",
    "sealroom.room.hardening": "hardens its own process",
    "sealroom.room.key_client": "speaks to the broker",
    "sealroom.testing.guest_devices": "devices and a host's service, without silicon behind them",
    "sealroom.testing.machine_tdx": "what a simulated vendor says of a machine is dated today",
    "sealroom.testing.kms": "a simulated key service has a clock, as a real one does",
    "sealroom.testing.nitro": "a simulated security module has a clock, as a real one does",
    "sealroom.testing.nvml": "NVIDIA's binding and its structures, without a driver behind them",
    "sealroom.testing.snp_guest": "reads and writes the description of a simulated guest",
    "sealroom.testing.stub_engine": "an engine's waits, without the engine",
    "sealroom.testing.tsm": "a directory in place of the kernel's",
    "sealroom.testing.tsm_fuse": "a mounted file system in place of the kernel's",
}
"""The whole list of files that do I/O without being named for it, each with what it does."""

IO_MODULES = frozenset(
    {
        "_thread", "aiohttp", "asyncio", "concurrent", "ctypes", "fcntl", "http.client", "http.server", "httpx",
        "mmap", "multiprocessing", "resource", "select", "selectors", "shutil", "signal", "socket", "socketserver",
        "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request", "uvicorn", "botocore",
    }
)  # fmt: skip
IO_ATTRIBUTES = frozenset(
    {
        "environ", "getenv", "now", "today", "utcnow", "read_bytes", "read_text", "write_bytes", "write_text",
        "mkdir", "rmdir", "unlink", "iterdir", "rglob", "getrandom", "fdopen", "memfd_create",
    }
)  # fmt: skip


def does_io(module: str) -> Iterator[str]:
    tree = TREES[module]
    skipped = {id(node) for node in typing_only(tree)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Attribute) and node.attr in IO_ATTRIBUTES:
            yield f"{module}:{node.lineno} .{node.attr}"
            continue
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"open", "input", "print"}
        ):
            yield f"{module}:{node.lineno} {node.func.id}()"
            continue
        else:
            continue
        yield from (f"{module}:{node.lineno} import {name}" for name in names
                    if any(name == io or name.startswith(f"{io}.") for io in IO_MODULES))  # fmt: skip


def is_named_for_it(module: str) -> bool:
    words = {word for part in module.split(".")[1:] for word in part.split("_")}
    return bool(words & NAMED_FOR_IT) or module.startswith(WHOLLY_IO) or is_package_itself(module)


def test_sockets_files_clocks_and_threads_are_only_in_files_named_for_them():
    wrong = [
        found
        for module in MODULES
        if not is_named_for_it(module) and module not in EXCEPTIONS
        for found in does_io(module)
    ]
    assert wrong == []


def test_every_exception_is_one_that_is_needed():
    assert sorted(module for module in EXCEPTIONS if module not in MODULES) == []
    idle = [module for module in EXCEPTIONS if not any(does_io(module)) and module != "sealroom.__main__"]
    assert idle == []


@pytest.mark.parametrize("part", ["tees.snp", "policy", "verifier", "collateral.bundle", "statement", "x509_chain"])
def test_what_judges_draws_no_randomness(part):
    """The same evidence at the same time has the same verdict."""
    drawing = []
    for module in MODULES:
        if not module.startswith(f"sealroom.{part}") or module.endswith(".collect"):
            continue
        for node in ast.walk(TREES[module]):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [node.attr] if isinstance(node, ast.Attribute) else []
            drawing += [
                f"{module}: {name}" for name in names if name in {"random", "secrets", "urandom", "token_bytes"}
            ]
    assert drawing == []


# The rules can fail: each is shown a module that breaks it.


RULE_1 = test_a_tee_never_imports_another_tee
ROOM_RULE = test_a_room_needs_nothing_of_broker_testing_or_gateway
ONE_TEE_RULE = test_only_the_registry_and_the_simulated_hardware_name_one_tee


@pytest.mark.parametrize(
    ("module", "line", "rule"),
    [
        ("sealroom.tees.nitro.verify", "from sealroom.tees.snp.layout import parse", RULE_1),
        ("sealroom.tees.nitro.verify", "import sealroom.tees.snp", RULE_1),
        ("sealroom.room.boot", "from sealroom.testing import snp", ROOM_RULE),
        ("sealroom.verifier", "from sealroom.tees import snp", ONE_TEE_RULE),
    ],
)  # fmt: skip
def test_each_rule_refuses_what_it_is_there_to_refuse(monkeypatch, module, line, rule):
    monkeypatch.setitem(MODULES, module, ROOT / "made-up.py")
    monkeypatch.setitem(TREES, module, ast.parse(line))
    with pytest.raises(AssertionError):
        rule()


def test_channel_that_learns_of_policy_by_a_detour_is_refused(monkeypatch):
    monkeypatch.setitem(TREES, "sealroom.channel.padding", ast.parse("from sealroom import statement"))
    monkeypatch.setitem(TREES, "sealroom.statement", ast.parse("from sealroom.policy import load_policy"))
    with pytest.raises(AssertionError):
        test_channel_and_sealed_know_no_attestation("channel")


def test_the_walk_sees_imports_inside_functions_and_clocks_under_any_spelling(monkeypatch):
    source = (
        "from datetime import datetime\n"
        "def verify():\n"
        "    from sealroom.policy import appraise\n"
        "    import time\n"
        "    return datetime.now(), open('x')\n"
    )
    monkeypatch.setitem(TREES, "sealroom.tees.snp.verify", ast.parse(source))
    assert list(imports_of("sealroom.tees.snp.verify")) == ["sealroom.policy.appraise"]
    found = " ".join(does_io("sealroom.tees.snp.verify"))
    assert all(sign in found for sign in ("import time", ".now", "open()"))
    with pytest.raises(AssertionError):
        test_each_module_imports_only_what_stands_above_it()
    with pytest.raises(AssertionError):
        test_sockets_files_clocks_and_threads_are_only_in_files_named_for_them()
