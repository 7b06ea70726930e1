"""Other people's verifiers, each asked only for what it claims to judge.

`dcap-qvl` is a Python package and takes quote, collateral, time and root. Google's `check` tools are programs. That
of go-tdx-guest is given the quote: it fetches collateral or does without, and here it does without, so that it is
asked about the quote and its certificates alone. That of go-sev-guest is given the report with its certificates as
a certificate table. Both judge at the time of the machine's own clock. NVIDIA's is in `nvidia_verifier_service`.
"""

import contextlib
import importlib
import json
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sealroom.errors import SealroomError, UnavailableError
from sealroom.evidence import Tee
from sealroom.pem import as_pem, is_pem, read_pem
from sealroom.tees.snp.layout import REPORT
from sealroom.testing.gym.json_spans import signed_body
from sealroom.testing.gym.judges import Answer, Judge
from sealroom.testing.gym.mutation import Level, Mutation, Sample
from sealroom.testing.gym.nvidia_verifier_service import NvidiaLocalVerifier

__all__ = ["DcapQvl", "GoSevGuest", "GoTdxGuest", "installed_verifiers"]

_PATIENCE = 20
"""Seconds for one verdict."""
_TABLE = ("63da758d-e664-4564-adc5-f4b93be8accd", "4ab7b379-bbac-4fe4-a02f-05aef327c782",
          "c0b406a4-a803-4952-9743-3fb6014cd0ae")  # fmt: skip
"""Entries of the certificate table (GHCB specification, section 4.1.8.1): VCEK, ASK, ARK."""
_NEEDS_COLLATERAL = ("another FMSPC", "another PCEID", "module of", "quoting enclave of", "QE vendor")
"""Words in the labels of re-minted faults that only TCB info, QE identity or an option of one's own can tell."""
_EVERY_GUEST = 0xF0000
"""The guest policy that allows most (SMT, migration, debug), of the oldest ABI: only authenticity is asked about."""


def installed_verifiers(
    tdx_check: Path | None, snp_check: Path | None, nvidia_verifier: Path | None = None
) -> Iterator[Judge]:
    """Those that can be asked here.

    Args:
        tdx_check: the program ``check`` of go-tdx-guest; None: ``go-tdx-guest-check`` on the search path, if any.
        snp_check: that of go-sev-guest; None: ``go-sev-guest-check`` on the search path, if any.
        nvidia_verifier: a program that asks NVIDIA's verifier; None: ``nvidia-verifier`` on the search path, if any.

    Raises:
        UnavailableError: ``gym.verifier``: a program that was named is not there.
    """
    with contextlib.suppress(ImportError):
        yield DcapQvl()
    for named, usual, kind in ((tdx_check, "go-tdx-guest-check", GoTdxGuest),
                               (snp_check, "go-sev-guest-check", GoSevGuest),
                               (nvidia_verifier, "nvidia-verifier", NvidiaLocalVerifier)):  # fmt: skip
        found = named or (Path(path) if (path := shutil.which(usual)) else None)
        if found is None:
            continue
        if not os.access(found, os.X_OK):
            raise UnavailableError("gym.verifier", "there is no such program", where=str(found))
        yield kind(found)


class DcapQvl:
    """The package `dcap-qvl`.

    Raises:
        ImportError: it is not installed.
    """

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("dcap_qvl")
        self.name = f"dcap-qvl {version('dcap-qvl')}"

    def is_asked(self, original: Sample, mutation: Mutation) -> bool:
        """Quotes only; and of the documents only what is inside, since it is handed object and signature apart."""
        sample = mutation.sample
        if sample.tee not in {Tee.TDX, Tee.SGX} or "around it" in mutation.label:
            return False
        if set(sample.collateral) != set(original.collateral) or "crl: as " in mutation.label:
            return False  # each item is an argument of its own, and it takes lists in DER
        return _handed_over(sample) is not None

    def judge(self, sample: Sample) -> Answer:
        """Ask it in this process."""
        arguments = _handed_over(sample)
        if arguments is None:
            return Answer(accepted=False, word="the document can not be handed over")
        at = int(sample.at.timestamp())
        try:
            collateral = self._library.QuoteCollateralV3(*arguments)
            if sample.own_root is None:
                report = self._library.verify(sample.raw, collateral, at)
            else:
                report = self._library.verify_with_root_ca(sample.raw, collateral, sample.own_root, at)
        except ValueError as error:
            return Answer(accepted=False, word=str(error).partition("\n")[0][:200])
        except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
            return Answer(accepted=False, word=f"{type(error).__name__}: {error}"[:200], crashed=True)
        except BaseException as error:  # a panic of the library is no Exception
            if type(error).__name__ != "PanicException":
                raise
            return Answer(accepted=False, word=f"panic: {error}"[:200], crashed=True)
        status, advisories = str(report.status), sorted(report.advisory_ids)
        return Answer(accepted=True, word=" ".join([status, *advisories]), facts=(status, advisories), status=status)


def _handed_over(sample: Sample) -> tuple[object, ...] | None:
    """The arguments of its collateral type; None: the documents are no longer of a shape to be taken apart."""
    items = sample.collateral
    try:
        documents = [_taken_apart(items[name]) for name in ("tcb_info_response", "qe_identity_response")]
        chains = [items[name].decode() for name in ("pck_crl_issuer_chain", "tcb_info_issuer_chain",
                                                    "qe_identity_issuer_chain")]  # fmt: skip
        lists = [items["root_ca_crl"], items["pck_crl"]]
    except (KeyError, ValueError, StopIteration, RecursionError):
        return None
    return (chains[0], *lists, chains[1], *documents[0], chains[2], *documents[1])


def _taken_apart(text: bytes) -> tuple[str, bytes]:
    signature = json.loads(text)["signature"]
    return signed_body(text).of(text).decode(), bytes.fromhex(signature)


class _Program:
    """A program that reads a file and answers with its exit status."""

    def __init__(self, program: Path, name: str) -> None:
        self._program = program
        self.name = name

    def _ask(self, content: bytes, options: Sequence[str], root: bytes | None, root_option: str) -> Answer:
        with tempfile.TemporaryDirectory(prefix="sealroom-gym-") as folder:
            evidence, anchor = Path(folder) / "evidence", Path(folder) / "root.pem"
            evidence.write_bytes(content)
            command = [str(self._program), "-in", str(evidence), *options]
            if root is not None:
                anchor.write_bytes(root)
                command.append(f"-{root_option}={anchor}")
            try:
                done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)  # noqa: S603
            except subprocess.TimeoutExpired:
                return Answer(accepted=False, word=f"no answer within {_PATIENCE} s", crashed=True)
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        crashed = "panic:" in said or "goroutine " in said or done.returncode < 0
        return Answer(accepted=done.returncode == 0, word=said.partition("\n")[0][:200] or f"exit {done.returncode}",
                      crashed=crashed)  # fmt: skip


class GoTdxGuest(_Program):
    """``check`` of github.com/google/go-tdx-guest."""

    def __init__(self, program: Path) -> None:
        super().__init__(program, _go_version(program, "go-tdx-guest"))

    def is_asked(self, original: Sample, mutation: Mutation) -> bool:
        """TDX quotes of version 4, where nothing but the quote was changed, and collateral is not what tells."""
        sample = mutation.sample
        if any(words in mutation.label for words in _NEEDS_COLLATERAL):
            return False
        return (
            original.tee is Tee.TDX and original.raw[:2] == b"\x04\0" and sample.at == original.at
            and sample.collateral == original.collateral
        )  # fmt: skip

    def judge(self, sample: Sample) -> Answer:
        """Run it."""
        root = None if sample.own_root is None else as_pem(sample.own_root)
        return self._ask(sample.raw, ["-inform", "bin"], root, "trusted_roots")


class GoSevGuest(_Program):
    """``check`` of github.com/google/go-sev-guest."""

    def __init__(self, program: Path) -> None:
        super().__init__(program, _go_version(program, "go-sev-guest"))

    def is_asked(self, original: Sample, mutation: Mutation) -> bool:
        """Reports signed by a VCEK, with leaf and two issuers, at the recorded time, under AMD's own roots.

        Not those signed by a VLEK: it wants their issuer from elsewhere. And nothing where the issuers alone were
        changed: it has its own copies, and need not look at these.
        """
        sample = mutation.sample
        changed = sample.raw != original.raw or _leaf(sample) != _leaf(original)
        return (
            original.tee is Tee.SNP and original.own_root is None and sample.at == original.at
            and (changed or mutation.level is Level.ORIGINAL)
            and mutation.level is not Level.REVOCATION and _table(sample) is not None
        )  # fmt: skip

    def judge(self, sample: Sample) -> Answer:
        """Run it, any guest policy allowed, told which product line the chain is of."""
        table = _table(sample)
        if table is None:
            return Answer(accepted=False, word="the certificates can not be handed over")
        options = ["-inform", "bin", "-network=false", f"-guest_policy={_EVERY_GUEST}", "-provisional=true",
                   f"-product={_product_line(sample)}"]  # fmt: skip
        return self._ask(sample.raw + table, options, None, "product_key_path")


def _product_line(sample: Sample) -> str:
    """``Milan`` … as the intermediate in the chain names it."""
    text = b"".join(read_pem(sample.collateral["chain"], "CERTIFICATE"))
    return next((line for line in ("Genoa", "Turin") if f"SEV-{line}".encode() in text), "Milan")


def _leaf(sample: Sample) -> bytes:
    """In DER, or as it stands there if it can not be read."""
    leaf = sample.collateral.get("leaf", b"")
    try:
        return b"".join(read_pem(leaf, "CERTIFICATE")) if is_pem(leaf) else leaf
    except SealroomError:
        return leaf


def _table(sample: Sample) -> bytes | None:
    """The certificates as the hypervisor hands them out; None: they can not be handed out so."""
    if len(sample.raw) != REPORT.size or not {"leaf", "chain"} <= set(sample.collateral):
        return None
    try:
        blocks = [_leaf(sample), *read_pem(sample.collateral["chain"], "CERTIFICATE")]
    except SealroomError:
        return None
    if len(blocks) != len(_TABLE) or b"SEV-VLEK" in b"".join(blocks):
        return None
    place, entries, content = 24 * (len(blocks) + 1), b"", b""
    for name, block in zip(_TABLE, blocks, strict=True):
        entries += bytes.fromhex(name.replace("-", "")) + struct.pack("<II", place + len(content), len(block))
        content += block
    return entries + bytes(24) + content


def _go_version(program: Path, module: str) -> str:
    """Name and version as Go has written them into the program, where they can be read."""
    raw = program.read_bytes()
    marker = f"mod\tgithub.com/google/{module}\t".encode()
    _, found, rest = raw.partition(marker)
    release = rest.partition(b"\t")[0].decode("ascii", "replace")
    return f"{module} {release}" if found else module
