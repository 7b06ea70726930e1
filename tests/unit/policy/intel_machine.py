"""A simulated Intel machine, its verified claims, and policy documents for its TDs and enclaves."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sealroom.evidence import Appraisal, Claims, Collateral, Tee
from sealroom.policy import Policy, Subject, appraise, load_policy
from sealroom.tees.registry import for_tee
from sealroom.testing.dcap import DcapPlatform, SimulatedSgx, SimulatedTdx
from sealroom.testing.intel import QeIdentityForm, TcbInfoForm

AT = datetime(2026, 6, 1, tzinfo=UTC)
DATA = bytes(range(64))
REGISTERS = {
    "mr_td": b"\x4d" * 48,
    "rtmr0": b"\x30" * 48,
    "rtmr1": b"\x31" * 48,
    "rtmr2": b"\x32" * 48,
    "rtmr3": b"\x33" * 48,
}
ENCLAVE = {"mr_enclave": b"\xe1" * 32, "mr_signer": b"\x51" * 32, "isv_prod_id": 7, "isv_svn": 3}

TD_DEBUG, TD_TUD, SEPT_VE_DISABLE, MIGRATABLE, PERFMON = 1, 1 << 3, 1 << 28, 1 << 29, 1 << 63
SGX_INIT, SGX_DEBUG, SGX_MODE64, SGX_PROVISION, SGX_EINITTOKEN = 1, 2, 4, 1 << 4, 1 << 5


@dataclass(frozen=True, kw_only=True)
class IntelMachine:
    """Mints quotes with one thing changed, and appraises them."""

    platform: DcapPlatform

    def td(self, *, td_15: bool = False, **fields: Any) -> bytes:
        """A quote of a TD with these fields."""
        version = 5 if td_15 else 4
        guest = SimulatedTdx(platform=self.platform, version=version, td_15=td_15, **{**REGISTERS, **fields})
        return guest.quote(DATA)

    def enclave(self, **fields: Any) -> bytes:
        """A quote of an enclave with these fields."""
        return SimulatedSgx(platform=self.platform, **{**ENCLAVE, **fields}).quote(DATA)

    def collateral(self, tee: Tee, **forms: Any) -> Collateral:
        """Up to date, unless ``forms`` say otherwise."""
        return Collateral(items=self.platform.collateral(tee, **forms))

    def tcb_info(self, tee: Tee, status: str, *advisories: str, **changes: Any) -> TcbInfoForm:
        """TCB info that calls this platform ``status``."""
        return replace(self.platform.tcb_info(tee).with_status(status, *advisories), **changes)

    def qe_identity(self, tee: Tee, status: str, **changes: Any) -> QeIdentityForm:
        """A QE identity that calls this platform's quoting enclave ``status``."""
        form = self.platform.qe_identity(tee)
        return replace(form, levels=(replace(form.levels[0], status=status),), **changes)

    def policy(self, tee: Tee, lines: str, *, unchecked: str = "") -> Policy:
        """A policy with ``lines`` as its table for ``tee``."""
        return load_policy(self.document(tee, lines, unchecked=unchecked), source="test.toml")

    def document(self, tee: Tee, lines: str, *, unchecked: str = "") -> str:
        """The text of that policy."""
        return (
            f'policy = 1\nname = "test"\n[trust]\ntees = ["{tee}"]\n'
            f'insecure_simulated = ["sha256:{self.platform.vendor.root_fingerprint.hex()}"]\n'
            f'[{tee}]\n{lines}\n[unchecked]\ninit_data = "these tests ask about the machine"\n{unchecked}\n'
        )

    def claims(self, policy: Policy, tee: Tee, raw: bytes, collateral: Collateral | None = None) -> Claims:
        """Claims of ``raw``, verified as silicon's would be."""
        verifier = for_tee(tee)
        verified = verifier.verify(verifier.parse(raw), roots=policy.trust_roots,
                                   collateral=collateral or self.collateral(tee), at=AT)  # fmt: skip
        return verifier.claims(verified)

    def judge(self, policy: Policy, tee: Tee, raw: bytes, **forms: Any) -> Appraisal:
        """The verdict on ``raw`` with collateral of these forms."""
        claims = self.claims(policy, tee, raw, self.collateral(tee, **forms))
        subject = Subject.guest(expected_report_data=DATA, init_data=None)
        return appraise(policy, claims, subject=subject, at=AT)


def pins(values: dict[str, bytes], **others: str) -> str:
    """Lines of a table that pin ``values``, with one or more replaced or added."""
    lines = {name: f'["{value.hex()}"]' for name, value in values.items()} | others
    return "\n".join(f"{name} = {value}" for name, value in lines.items() if value)
