"""Bundles, reports and statements as trees."""

from collections.abc import Callable, Mapping

from sealroom.channel.key_config import parse_key_configs
from sealroom.cli.inspecting.certificates import describe_certificates, describe_crl
from sealroom.cli.inspecting.documents import describe_json
from sealroom.cli.inspecting.quotes import describe_quote
from sealroom.cli.inspecting.tree import Description, Tree, shown_bytes
from sealroom.collateral import parse_bundle
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import CollectedEvidence, Tee
from sealroom.fixed_layout import Values
from sealroom.statement import parse_statement, statement_members
from sealroom.tees.snp.claims import FLAGS_OF_POLICY
from sealroom.tees.snp.layout import REPORT, layout_of
from sealroom.tees.snp.tcb import Product, product_of_cpuid, read_tcb

__all__ = ["describe_bundle", "describe_key_configs", "describe_snp_report", "describe_statement"]

_TCB_FIELDS = ("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb")
_COLLATERAL = {
    "leaf": describe_certificates, "chain": describe_certificates, "crl": describe_crl,
    "tcb_info_response": describe_json, "qe_identity_response": describe_json,
    "tcb_info_issuer_chain": describe_certificates, "qe_identity_issuer_chain": describe_certificates,
    "pck_crl_issuer_chain": describe_certificates, "pck_crl": describe_crl, "root_ca_crl": describe_crl,
}  # fmt: skip


def describe_bundle(raw: bytes) -> Description:
    """An evidence bundle; a part that can not be read is shown with its reason."""
    bundle = parse_bundle(raw)
    content: dict[str, Tree] = {"statement": describe_statement(bundle.statement).content}
    content["cpu"] = _member(bundle.cpu)
    if bundle.devices:
        content["devices"] = {name: _evidence(device.tee, device.raw) for name, device in bundle.devices.items()}
        content["endorsements"] = {
            digest.hex()[:16]: shown_bytes(value) for digest, value in bundle.endorsements.items()
        }
    return Description("evidence bundle, version 2", content)


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


def describe_snp_report(raw: bytes) -> Description:
    """An SNP attestation report, field by field; TCB versions in parts where the report names its product."""
    values = layout_of(raw).parse(raw)
    content: dict[str, Tree] = {}
    for name, value in values.items():
        content[name] = value if isinstance(value, int) else shown_bytes(value)
    policy = values.integer("policy")
    content["policy"] = f"{policy:#x}"
    content["policy allows"] = [name for bit, name in FLAGS_OF_POLICY.items() if policy >> bit & 1]
    if (product := _product(values)) is not None:
        content["product by CPUID"] = product.value
        for name in _TCB_FIELDS:
            content[name] = _tcb(product, values.octets(name), name)
    return Description(f"SEV-SNP attestation report, version {values.integer('version')}", content)


def _product(values: Values) -> Product | None:
    if "cpuid_fam" not in values:  # version 2 names no product
        return None
    try:
        return product_of_cpuid(values.integer("cpuid_fam"), values.integer("cpuid_mod"))
    except UnverifiedError:  # of a product to come
        return None


def _tcb(product: Product, raw: bytes, name: str) -> Tree:
    try:
        return ", ".join(f"{part} {level}" for part, level in read_tcb(product, raw, REPORT.where(name)).items())
    except MalformedError as error:
        return f"{raw.hex()} ({error.message})"


def _evidence(tee: Tee, raw: bytes) -> Tree:
    return _read(_EVIDENCE[tee], raw) if tee in _EVIDENCE else shown_bytes(raw)


def _member(member: CollectedEvidence) -> Tree:
    items: dict[str, Tree] = {}
    for name, item in member.collateral.items.items():
        reader = _COLLATERAL.get(name)
        items[name] = _read(reader, item) if reader else shown_bytes(item)
    return {"tee": member.tee.value, "evidence": _evidence(member.tee, member.raw), "collateral": items}


def _read(reader: Callable[[bytes], Description], raw: bytes) -> Tree:
    try:
        return reader(raw).content
    except (MalformedError, UnverifiedError) as error:
        return f"can not be read: {error}"


_EVIDENCE: Mapping[Tee, Callable[[bytes], Description]] = {
    Tee.SNP: describe_snp_report,
    Tee.TDX: describe_quote,
    Tee.SGX: describe_quote,
}
