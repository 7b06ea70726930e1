"""Minted tokens of Confidential Space as cases: the bench on which they are made, and all that is authentic."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sealroom.evidence import Collateral
from sealroom.testing.gcp_cases import AT, NONCE, GcpCase
from sealroom.testing.gcp_space import SimulatedSpace, SpaceAuthority, container, listed
from sealroom.testing.tokens import LEFT_OUT, TokenSigner

__all__ = ["SpaceBench", "authentic_tokens"]

_TDX = {"gcp_attester_tcb_status": "UpToDate", "gcp_attester_tcb_date": "2024-03-13T00:00:00Z"}
_STABLE = ["LATEST", "STABLE", "USABLE"]


@dataclass(frozen=True, kw_only=True)
class SpaceBench:
    """The service with a key that is named and one that is certified, and a stranger's key."""

    space: SimulatedSpace
    above: SpaceAuthority
    stranger: TokenSigner

    @classmethod
    def create(cls) -> "SpaceBench":
        """New keys."""
        return cls(space=SimulatedSpace(), above=SpaceAuthority.create(), stranger=TokenSigner(kid="stranger"))

    def token(self, *, nonce: Any = None, **changes: Any) -> bytes:
        """Honest but for ``changes``, as `SimulatedSpace.token` takes them."""
        return self.space.token(NONCE.hex() if nonce is None else nonce, AT, **changes)

    def case(
        self, name: str, code: str | None = None, *, raw: bytes | None = None, at: datetime = AT,
        items: Mapping[str, bytes | None] | None = None, flags: frozenset[str] = frozenset(), **changes: Any,
    ) -> GcpCase:  # fmt: skip
        """A token that the named key signed; ``items`` changes what goes along, None leaves an item out."""
        along = {"jwks": self.space.jwks, **(items or {})}
        collateral = Collateral(items={item: value for item, value in along.items() if value is not None})
        roots = frozenset({self.space.signer.fingerprint, self.above.root_fingerprint})
        return GcpCase(name=f"token: {name}", code=code, raw=self.token(**changes) if raw is None else raw, at=at,
                       collateral=collateral, roots=roots, flags=flags | {"token"})  # fmt: skip

    def certified(
        self, name: str, code: str | None = None, *, chain: tuple[bytes, ...] | None = None,
        items: Mapping[str, bytes | None] | None = None, header: Mapping[str, Any] | None = None, **options: Any,
    ) -> GcpCase:  # fmt: skip
        """A token that brings certificates of its key, honest ones unless ``chain`` says otherwise."""
        certificates = self.above.chain(self.space.signer.key.public_key()) if chain is None else chain
        made = self.case(name, code, items={"jwks": None, **(items or {})},
                         header={"x5c": listed(*certificates), **(header or {})}, **options)  # fmt: skip
        return replace(made, name=made.name.replace("token", "PKI token", 1))

    def submods(self, **changes: Any) -> dict[str, Any]:
        """The parts of an honest token, with ``changes``."""
        honest = {"confidential_space": {"support_attributes": _STABLE}, "container": container(),
                  "gce": {"project_id": "simulated"}}  # fmt: skip
        return {name: value for name, value in {**honest, **changes}.items() if value is not LEFT_OUT}


def authentic_tokens(bench: SpaceBench) -> Iterator[GcpCase]:
    """Everything that may differ and is right."""
    for make in (_plain, _times, _weak, _machines, _certified):
        yield from make(bench)


def _plain(bench: SpaceBench) -> Iterator[GcpCase]:
    yield bench.case("as it is")
    yield bench.case("an audience in a list", audience=["https://room.example"])
    yield bench.case("two audiences", audience=["https://room.example", "https://other.example"])
    yield bench.case("a nonce in a list", nonce=[NONCE.hex()])
    yield bench.case("a nonce that is no digest", nonce="a nonce of some length")
    yield bench.case("several nonces", nonce=[NONCE.hex(), "another"])
    yield bench.case("no nonce", eat_nonce=LEFT_OUT)
    yield bench.case("claims to come", later={"anything": [1, None]})
    yield bench.case("a key set with other keys", items={"jwks": bench.space.signer.jwks(bench.stranger)})
    yield bench.case("no name of the key, and one key", header={"kid": LEFT_OUT})
    yield bench.case("no type in its header", header={"typ": LEFT_OUT})
    yield bench.case("a newline behind it", raw=bench.token() + b"\n")
    yield bench.case("addresses of keys that nobody follows", header={"jku": "https://evil.example", "x5u": "x"})


def _times(bench: SpaceBench) -> Iterator[GcpCase]:
    yield bench.case("a minute ahead of the clock", at=AT - timedelta(seconds=60))
    yield bench.case("its last second", at=AT + timedelta(minutes=59, seconds=59))
    yield bench.case("without a beginning but when it was issued", nbf=LEFT_OUT)
    yield bench.case("times in parts of seconds", exp=AT.timestamp() + 3600.5)


def _weak(bench: SpaceBench) -> Iterator[GcpCase]:
    """Authentic, and nothing that a policy accepts unasked."""

    def weak(name: str, *flags: str, **changes: Any) -> GcpCase:
        return bench.case(name, flags=frozenset(flags), **changes)

    def space(attributes: Any) -> dict[str, Any]:
        return bench.submods(confidential_space={"support_attributes": attributes})

    yield weak("the debug image", "debug", "not_stable", dbgstat="enabled", submods=space([]))
    yield weak("debug is not said", "debug", dbgstat=LEFT_OUT)
    yield weak("an image that is only usable", "not_stable", submods=space(["USABLE"]))
    yield weak("an image of no support", "not_stable", submods=bench.submods(confidential_space=LEFT_OUT))
    yield weak("no parts", "not_stable", submods=LEFT_OUT)
    for changes in ({"env_override": {"A": "1"}}, {"cmd_override": ["sh"]}):
        yield weak(f"a workload with another {', '.join(changes)}", "env_or_args_set",
                   submods=bench.submods(container=container(**changes)))  # fmt: skip
    yield weak("overrides of nothing", submods=bench.submods(container=container(env_override={}, cmd_override=[])))
    for said in (False, LEFT_OUT, "true", 1):
        yield weak(f"Secure Boot {said!r}", "secure_boot_off", secboot=said)
    for said in ("GCE", LEFT_OUT):
        yield weak(f"software {said!r}", "not_confidential_space", swname=said)
    for said in ("GCP_SHIELDED_VM", "gcp_amd_sev", "", LEFT_OUT):
        yield weak(f"hardware {said!r}, which encrypts nothing", "no_hardware_proof", hwmodel=said)


def _machines(bench: SpaceBench) -> Iterator[GcpCase]:
    for hardware in ("GCP_AMD_SEV_ES", "GCP_AMD_SEV_SNP"):
        yield bench.case(f"hardware {hardware}", hwmodel=hardware)
    yield bench.case("a TD", hwmodel="GCP_INTEL_TDX", tdx=_TDX)
    yield bench.case("a TD in a list", hwmodel="GCP_INTEL_TDX", tdx=[_TDX])
    behind = {**_TDX, "gcp_attester_tcb_status": "OutOfDate"}
    yield bench.case("a TD that is behind", hwmodel="GCP_INTEL_TDX", tdx=behind, flags=frozenset({"tcb_not_current"}))
    yield bench.case("a machine with GPUs", submods=bench.submods(nvidia_gpu={"cc_mode": "ON", "gpus": []}))


def _certified(bench: SpaceBench) -> Iterator[GcpCase]:
    leaf, ca, root = bench.above.chain(bench.space.signer.key.public_key())
    yield bench.certified("as it is")
    yield bench.certified("a key set beside it that lacks its key", items={"jwks": bench.stranger.jwks()})
    yield bench.certified("its root beside it", chain=(leaf, ca), items={"token_root": root})
    yield bench.certified("its root in both", items={"token_root": root})
    yield bench.certified("without the name of a key", header={"kid": LEFT_OUT})
    yield bench.certified("on the debug image", dbgstat="enabled", flags=frozenset({"debug"}))
