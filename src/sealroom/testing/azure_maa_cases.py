"""Minted tokens of Azure's service as cases: the bench on which they are made, and all that is authentic."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sealroom.evidence import Collateral, Tee
from sealroom.testing.azure_cases import AT, CloudCase
from sealroom.testing.azure_maa import SimulatedMaa, certified, guest_claims, runtime_claims
from sealroom.testing.tokens import LEFT_OUT, TokenSigner

__all__ = ["USER_DATA", "MaaBench", "authentic_tokens"]

USER_DATA = bytes(range(64))
_TOKEN = frozenset({"token"})


@dataclass(frozen=True, kw_only=True)
class MaaBench:
    """Two keys of the service; whatever a case does not change is right, and the first key's."""

    maa: SimulatedMaa = field(default_factory=SimulatedMaa)
    other: TokenSigner = field(default_factory=lambda: TokenSigner(kid="another key of the service"))

    def token(self, tee: Tee = Tee.TDX, **options: Any) -> bytes:
        """An honest token, but for what `SimulatedMaa.token` is told."""
        return self.maa.token(tee, AT, user_data=USER_DATA, **options)

    def case(
        self, name: str, code: str | None = None, *, raw: bytes | None = None, jwks: bytes | None = None,
        collateral: Mapping[str, bytes] | None = None, trusted: TokenSigner | None = None, at: datetime = AT,
        flags: frozenset[str] = frozenset(), **options: Any,
    ) -> CloudCase:  # fmt: skip
        """An honest token with ``options`` of it changed, or other bytes altogether.

        Args:
            name: what was done.
            code: of the refusal; None: authentic.
            raw: in place of a token with ``options``.
            jwks: the key set; ``collateral``: or all that goes along.
            trusted: whose key the relying party names.
            at: when to verify.
            flags: of an authentic one, beside ``token``.
        """
        items = {"jwks": jwks or self.maa.jwks} if collateral is None else collateral
        return CloudCase(
            name=f"token: {name}", code=code, raw=self.token(**options) if raw is None else raw,
            collateral=Collateral(items=items), roots=frozenset({(trusted or self.maa.signer).fingerprint}), at=at,
            flags=None if code else _TOKEN | flags,
        )  # fmt: skip


def authentic_tokens(bench: MaaBench) -> Iterator[CloudCase]:
    """Everything that may differ and is right."""
    for tee in (Tee.SNP, Tee.TDX):
        yield bench.case(f"of {tee}", tee=tee)
        yield bench.case(f"of {tee}, without runtime data", raw=bench.maa.token(tee, AT))
        yield bench.case(f"of {tee} inside an azurevm", raw=bench.maa.wrapped(tee, AT, user_data=USER_DATA))
    inside = {"x-ms-attestation-type": "azurevm", "x-ms-isolation-tee": guest_claims(Tee.SNP, None)}
    both = bench.maa.sign({**bench.maa.own_claims(AT), **inside, "x-ms-runtime": runtime_claims(USER_DATA)})
    yield bench.case("with runtime data beside the hardware's claims", raw=both)
    yield bench.case("with white space around it", raw=b" " + bench.token() + b"\r\n")
    yield bench.case("a word to come", x_ms_something="new")
    yield from _issuers(bench)
    yield from _headers(bench)
    yield from _key_sets(bench)
    yield from _times(bench)
    yield from _weaknesses(bench)


def _issuers(bench: MaaBench) -> Iterator[CloudCase]:
    """The same key serves several regions."""
    for host in ("sharedeus2.eus2.attest.azure.net", "sharedugv.ugv.attest.azure.us", "ours-1.neu.attest.azure.net"):
        region = replace(bench, maa=replace(bench.maa, issuer=f"https://{host}"))
        yield region.case(f"of {host}")
    yield bench.case("an issuer with a slash at its end", iss=f"{bench.maa.issuer}/")


def _headers(bench: MaaBench) -> Iterator[CloudCase]:
    """What a token says of where its key is, is not followed."""
    for name, header in {
        "no jku": {"jku": LEFT_OUT}, "a jku elsewhere": {"jku": "https://keys.example/certs"},
        "an x5u": {"x5u": "https://keys.example/"}, "no typ": {"typ": LEFT_OUT}, "an x5c": {"x5c": ["MIIB"]},
        "another key inside": {"jwk": bench.other.jwk()},
    }.items():  # fmt: skip
        yield bench.case(f"with {name}", header=header)
    yield bench.case("without kid, and a set of one key", header={"kid": LEFT_OUT})


def _key_sets(bench: MaaBench) -> Iterator[CloudCase]:
    signer, other = bench.maa.signer, bench.other
    renamed, doubled = replace(signer, kid="the same key"), replace(other, kid=signer.kid)
    yield bench.case("keys as certificates of 30 KB", jwks=certified(other, signer))
    yield bench.case("the key twice, under two names", jwks=renamed.jwks(signer))
    yield bench.case("two keys under one name", jwks=doubled.jwks(signer))
    yield bench.case("under the key's other name", jwks=signer.jwks(renamed), header={"kid": "the same key"})
    keys = [signer.jwk(alg=LEFT_OUT, use=LEFT_OUT), {"kty": "oct", "k": "AA"}, {"kty": "OKP"}, other.jwk(use="enc")]
    yield bench.case("keys of other kinds in the set", jwks=json.dumps({"keys": keys}).encode())


def _times(bench: MaaBench) -> Iterator[CloudCase]:
    yield bench.case("at the last second", at=AT + timedelta(hours=8, seconds=-1))
    yield bench.case("a minute before it was made", at=AT - timedelta(seconds=60))
    yield bench.case("without nbf", nbf=LEFT_OUT)
    yield bench.case("times with fractions", iat=AT.timestamp() + 0.5, nbf=AT.timestamp() + 0.5)


def _weaknesses(bench: MaaBench) -> Iterator[CloudCase]:
    """Authentic, and for a policy to refuse."""
    weak: dict[str, tuple[str, dict[str, Any]]] = {
        "a TD that may be debugged": ("debug", {"tdx_td_attributes_debug": True}),
        "dbgstat enabled": ("debug", {"dbgstat": "enabled"}),
        "dbgstat of a word to come": ("debug", {"dbgstat": "sometimes"}),
        "a guest that may be debugged": ("debug", {"tee": Tee.SNP, "x_ms_sevsnpvm_is_debuggable": True}),
        "debugging in other words": ("debug", {"tee": Tee.SNP, "x_ms_sevsnpvm_is_debuggable": "false"}),
        "not compliant": ("not_compliant", {"x_ms_compliance_status": "not-azure-compliant"}),
        "nothing about compliance": ("not_compliant", {"x_ms_compliance_status": LEFT_OUT}),
        "firmware behind": ("tcb_not_current", {"attester_tcb_status": "OutOfDate"}),
        "an SGX enclave": ("no_confidential_vm", {"x_ms_attestation_type": "sgx"}),
        "no type": ("no_confidential_vm", {"x_ms_attestation_type": LEFT_OUT}),
        "no Secure Boot": ("secure_boot_off", {"secureboot": False}),
        "a TD that may be moved": ("migratable", {"tdx_td_attributes_migratable": True}),
        "a guest that may be moved": ("migratable", {"tee": Tee.SNP, "x_ms_sevsnpvm_migration_allowed": True}),
        "moving in other words": ("migratable", {"tee": Tee.SNP, "x_ms_sevsnpvm_migration_allowed": 0}),
        "a report of the guest's own level": ("guest_vmpl", {"tee": Tee.SNP, "x_ms_sevsnpvm_vmpl": 2}),
    }
    for name, (flag, options) in weak.items():
        yield bench.case(name, flags=frozenset({flag}), **options)
    runtime = runtime_claims(USER_DATA)
    runtime["vm-configuration"]["secure-boot"] = False
    yield bench.case("no Secure Boot by the runtime data", flags=frozenset({"secure_boot_off"}), x_ms_runtime=runtime)
    inside = bench.maa.wrapped(Tee.TDX, AT, dbgstat="enabled")
    yield bench.case("dbgstat enabled inside an azurevm", flags=frozenset({"debug"}), raw=inside)
    for name, value in (("bootdebug-enabled", True), ("kerneldebug-enabled", True), ("hypervisordebug-enabled", "no"),
                        ("debuggersdisabled", False)):  # fmt: skip
        said = {**bench.maa.own_claims(AT), "x-ms-attestation-type": "azurevm", "secureboot": True,
                "x-ms-isolation-tee": guest_claims(Tee.SNP, USER_DATA), f"x-ms-azurevm-{name}": value}  # fmt: skip
        yield bench.case(f"{name} {value} in the guest", flags=frozenset({"debug"}), raw=bench.maa.sign(said))
    trusted_launch = {**bench.maa.own_claims(AT), "x-ms-attestation-type": "azurevm", "secureboot": True}
    yield bench.case("a VM that is not confidential", raw=bench.maa.sign(trusted_launch),
                     flags=frozenset({"no_confidential_vm", "not_compliant"}))  # fmt: skip
