"""Asks the NVLink switches of the machine that we run in for reports, through NVIDIA's NSCQ library (`collect_nscq`).

Only where GPUs work over protected PCIe do switches prove anything: they then belong to the machine, and their links
are trusted and locked. What is asked and what comes is as of GPUs: a nonce of 32 bytes, an SPDM exchange, PEM.
"""

from collections.abc import Callable, Mapping

from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees.nvidia.collect_nscq import Nscq, NscqSession, load_nscq
from sealroom.tees.nvidia.layout import NONCE_SIZE, parse_report

__all__ = ["NvSwitch", "switches_of_this_machine"]

_TRUSTED, _LOCKED = 1, 2
_PEM = b"-----BEGIN CERTIFICATE-----"


class NvSwitch:
    """One switch of the machine that we run in: a `DeviceAttester`.

    Args:
        library: NVIDIA's, loaded.
        label: the switch's name there.
        collateral: gives what goes along with a report: ``vbios_rim``, ``ocsp``. Asked each time.
    """

    tee = Tee.NVIDIA
    simulated = False

    def __init__(self, library: Nscq, label: str, *, collateral: Callable[[], Collateral] | None = None) -> None:
        self._library = library
        self._label = label
        self._collateral = collateral or (lambda: Collateral(items={}))

    def collect(self, nonce: bytes) -> CollectedEvidence:
        """Return a report that answers ``nonce`` (32 bytes), with the switch's certificates.

        Raises:
            MisuseError: ``nvidia.nonce-size``.
            UnavailableError: ``nvidia.switch-not-protected``: its links are not trusted, or not locked;
                ``nvidia.no-switch-answer``, ``nvidia.no-nscq-session``; ``nvidia.other-report``: it answered another
                nonce; ``nvidia.no-certificates``.
            MalformedError: ``nvidia.*``: what it gave is no report.
        """
        if len(nonce) != NONCE_SIZE:
            raise MisuseError("nvidia.nonce-size", "a device answers a nonce of 32 bytes", got=f"{len(nonce)} bytes",
                              expected=f"{NONCE_SIZE} bytes")  # fmt: skip
        with self._library.session() as session:
            self._require_protected(session)
            raw = session.report(self._label, nonce)
            chain = session.certificates(self._label).rstrip(b"\x00")
        if (got := parse_report(raw).report.request_nonce) != nonce:
            raise UnavailableError("nvidia.other-report", "the switch's report answers another nonce",
                                   where=f"switch {self._label}", got=got.hex(), expected=nonce.hex())  # fmt: skip
        if not chain.startswith(_PEM):
            raise UnavailableError("nvidia.no-certificates", "the switch gave no certificates",
                                   where=f"switch {self._label}", got=f"{len(chain)} bytes that are no PEM",
                                   )  # fmt: skip
        items = {"cert_chain": chain, **self._collateral().items}
        return CollectedEvidence(tee=Tee.NVIDIA, raw=raw, collateral=Collateral(items=items))

    def _require_protected(self, session: NscqSession) -> None:
        """Before the set-up is locked, the host could still lead links elsewhere."""
        mode = session.mode(self._label)
        if mode < 0 or mode & (_TRUSTED | _LOCKED) != _TRUSTED | _LOCKED:
            raise UnavailableError("nvidia.switch-not-protected", "a switch's links are not trusted and locked",
                                   where=f"switch {self._label}", got=f"mode {mode}", expected="mode 3",
                                   hint="start nvidia-fabricmanager, which sets up the links and locks them; the "
                                   "host must have set the switches to protected PCIe as it did the GPUs",
                                   )  # fmt: skip


def switches_of_this_machine(
    *, collateral: Callable[[str], Collateral] | None = None, library: Nscq | None = None
) -> Mapping[str, NvSwitch]:
    """Every switch by the name that a statement gives it: ``switch0`` … in the order of the library's labels.

    Args:
        collateral: what goes along with the reports of the switch of that name; asked at each report.
        library: NVIDIA's; the installed one unless a test has another.

    Raises:
        UnavailableError: ``nvidia.no-nscq``, ``nvidia.nscq-too-old``, ``nvidia.no-nscq-session``: they can not be
            asked; ``nvidia.no-switch``: there is none.
    """
    library = library or load_nscq()
    with library.session() as session:
        labels = session.labels()
    if not labels:
        raise UnavailableError("nvidia.no-switch", "the GPUs work over protected PCIe, and no NVLink switch is here",
                               where="NSCQ", hint="have the host pass the switches to this machine with the GPUs",
                               )  # fmt: skip
    of = collateral or (lambda _: Collateral(items={}))
    named = {f"switch{number}": label for number, label in enumerate(labels)}
    return {name: NvSwitch(library, label, collateral=lambda name=name: of(name))  # type: ignore[misc]
            for name, label in named.items()}  # fmt: skip
