"""Bundles, statements and key configurations as trees; evidence in them by its own reader."""

from collections.abc import Callable, Mapping

from sealroom.channel.key_config import parse_key_configs
from sealroom.cli.inspecting.certificates import describe_certificates, describe_crl
from sealroom.cli.inspecting.devices import (
    describe_device_report,
    describe_rim,
    describe_service_answer,
    describe_stapled,
)
from sealroom.cli.inspecting.documents import describe_json, describe_token, looks_like_token
from sealroom.cli.inspecting.quotes import describe_quote
from sealroom.cli.inspecting.snp import describe_snp_report
from sealroom.cli.inspecting.tree import Description, Tree, shown_bytes
from sealroom.cli.inspecting.wrapped import (
    describe_arm,
    describe_azure,
    describe_gcp,
    describe_nitro,
    describe_tpm,
)
from sealroom.collateral import EvidenceBundle, parse_bundle
from sealroom.collateral.archive import read_archive
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import CollectedEvidence, Tee
from sealroom.statement import parse_statement, statement_members
from sealroom.tees.windows import item_lines

__all__ = [
    "describe_bundle",
    "describe_collateral",
    "describe_evidence",
    "describe_key_configs",
    "describe_statement",
]

_COLLATERAL = {
    "leaf": describe_certificates, "chain": describe_certificates, "crl": describe_crl,
    "tcb_info_response": describe_json, "qe_identity_response": describe_json,
    "tcb_info_issuer_chain": describe_certificates, "qe_identity_issuer_chain": describe_certificates,
    "pck_crl_issuer_chain": describe_certificates, "pck_crl": describe_crl, "root_ca_crl": describe_crl,
    "cert_chain": describe_certificates, "driver_rim": describe_rim, "vbios_rim": describe_rim,
    "ocsp": describe_stapled, "jwks": describe_json, "ak_issuers": describe_certificates,
}  # fmt: skip


def describe_bundle(raw: bytes) -> Description:
    """An evidence bundle; a part that can not be read is shown with its reason."""
    bundle = parse_bundle(raw)
    content: dict[str, Tree] = {"statement": describe_statement(bundle.statement).content}
    content["cpu"] = _member(bundle.cpu)
    if bundle.devices:
        content["devices"] = {name: _evidence(device.tee, device.raw) for name, device in bundle.devices.items()}
        content["endorsements"] = _endorsements(bundle)
    return Description("evidence bundle, version 2", content)


def describe_collateral(raw: bytes) -> Description:
    """What `collateral fetch` wrote, part by part."""
    archive = read_archive(raw)
    until = None if archive.holds_until is None else archive.holds_until.isoformat()
    facts: dict[str, Tree] = {"tee": archive.tee.value, "subject": archive.subject,
                              "fetched_at": archive.fetched_at.isoformat(), "holds_until": until}  # fmt: skip
    return Description("collateral bundle", facts | {"items": dict(item_lines(archive.collateral))})


def describe_statement(raw: bytes) -> Description:
    """A room statement with its key configurations."""
    statement = parse_statement(raw)
    members: dict[str, Tree] = dict(statement_members(statement))
    members["key_configs"] = _read(describe_key_configs, statement.key_configs)
    return Description("room statement", members)


def describe_key_configs(raw: bytes) -> Description:
    """A list of application/ohttp-keys."""
    configs = parse_key_configs(raw)
    content: list[Tree] = [
        {
            "key id": config.key_id,
            "KEM": config.kem.name,
            "public key": config.public_key.hex(),
            "algorithms": [f"{kdf.name}, {aead.name}" for kdf, aead in config.algorithms],
        }
        for config in configs
    ]
    return Description("key configurations (application/ohttp-keys)", content)


def _endorsements(bundle: EvidenceBundle) -> Tree:
    """Each value once, by its digest, what the statement calls it, and whose it is."""
    shown: dict[str, Tree] = {}
    devices = parse_statement(bundle.statement).devices
    for digest, value in bundle.endorsements.items():
        owners = [(item, one.name) for one in devices for item, found in one.collateral.items() if found == digest]
        item = owners[0][0] if owners else "of no device"
        names = ", ".join(name for _, name in owners)
        shown[f"{digest.hex()[:16]} ({item}{' of ' if names else ''}{names})"] = _item(item, value)
    return shown


def describe_evidence(tee: Tee, raw: bytes) -> Description:
    """Evidence of ``tee``, whatever it is wrapped in."""
    if looks_like_token(raw):
        return describe_token(raw)
    return _EVIDENCE[tee](raw)


def _evidence(tee: Tee, raw: bytes) -> Tree:
    return _read(lambda given: describe_evidence(tee, given), raw)


def _member(member: CollectedEvidence) -> Tree:
    items: dict[str, Tree] = {name: _item(name, value) for name, value in member.collateral.items.items()}
    return {"tee": member.tee.value, "evidence": _evidence(member.tee, member.raw), "collateral": items}


def _item(name: str, value: bytes) -> Tree:
    reader = _COLLATERAL.get(name)
    return _read(reader, value) if reader else shown_bytes(value)


def _read(reader: Callable[[bytes], Description], raw: bytes) -> Tree:
    try:
        return reader(raw).content
    except (MalformedError, UnverifiedError) as error:
        return f"can not be read: {error}"


def _describe_nvidia(raw: bytes) -> Description:
    return describe_service_answer(raw) if raw[:1] == b"[" else describe_device_report(raw)


_EVIDENCE: Mapping[Tee, Callable[[bytes], Description]] = {
    Tee.SNP: describe_snp_report,
    Tee.TDX: describe_quote,
    Tee.SGX: describe_quote,
    Tee.NVIDIA: _describe_nvidia,
    Tee.NITRO: describe_nitro,
    Tee.CCA: describe_arm,
    Tee.AZURE_VTPM: describe_azure,
    Tee.GCP: describe_gcp,
    Tee.TPM: describe_tpm,
}
