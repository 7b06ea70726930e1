"""One fault each in what Intel signs: certificates, revocation lists, TCB info and QE identity. Every other
signature, window and name holds, so that one check alone can refuse it.
"""

from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.evidence import Validity
from sealroom.pem import as_pem
from sealroom.testing import der
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.intel import Ca, IntelVendor, Level
from sealroom.testing.intel_cases import FUTURE, PAST, Bench, MintedCase

__all__ = ["certificate_faults", "document_faults", "level_faults", "list_faults",
           "module_faults"]  # fmt: skip

_WINDOWS: tuple[tuple[str, Validity, str], ...] = (
    ("expired", PAST, "x509.expired"), ("not yet valid", FUTURE, "x509.not-yet-valid"),
)  # fmt: skip
_HIGH = (255,) * 16
_UNKNOWN_CRITICAL = ("2.5.29.99", True, b"\x05\x00")
_OF_NO_CA = ("2.5.29.19", True, der.sequence())


def certificate_faults(bench: Bench) -> Iterator[MintedCase]:
    """Of the root, the CA, the leaf and the signer of documents."""
    vendor = bench.platform.vendor
    yield from _windows(bench)
    others = DcapPlatform.create()
    yield replace(bench.on(others).case("chain under another root of the same name", "x509.untrusted-root"),
                  root=vendor.root.certificate)  # fmt: skip
    form = vendor.pck(bench.platform.pck, bench.platform.pck_key.public_key())
    for name, changed, code in (
        ("leaf of another name", replace(form, subject="Intel SGX PCK Certifikat"), "dcap.pck-names"),
        ("leaf without Intel's extension", replace(form, extensions=form.extensions[:-1]), "dcap.pck-extension"),
        ("leaf with a critical extension that nobody knows",
         replace(form, extensions=(*form.extensions, _UNKNOWN_CRITICAL)), "x509.critical-extension"),
    ):  # fmt: skip
        yield bench.case(name, code, leaf=vendor.issue(changed))
    stranger = replace(vendor.platform_ca, key=ec.generate_private_key(ec.SECP256R1()))
    yield bench.case("leaf signed by another key of the CA's name", "x509.signature",
                     leaf=replace(vendor, platform_ca=stranger).issue(form))  # fmt: skip
    no_ca = tuple(
        _OF_NO_CA if extension[0] == _OF_NO_CA[0] else extension
        for extension in vendor.form("platform_ca").extensions
    )
    yield _on(bench, vendor.reissued("platform_ca", extensions=no_ca)).case("CA that is none", "x509.not-a-ca")
    yield from _leaf_as_ca(bench)


def list_faults(bench: Bench) -> Iterator[MintedCase]:
    """Of the root's list and the CA's."""
    platform, vendor = bench.platform, bench.platform.vendor
    leaf = vendor.pck(platform.pck, platform.pck_key.public_key())
    yield bench.case("leaf revoked", "x509.revoked", leaf=vendor.issue(leaf),
                     items=bench.items(revoked_pck=(5, leaf.serial)))  # fmt: skip
    for name in ("platform_ca", "tcb_signer"):
        serial = vendor.form(name).serial
        yield bench.case(f"{name} revoked", "x509.revoked", items=bench.items(revoked_by_root=(5, serial)))
    for item, authority in (("pck_crl", vendor.platform_ca), ("root_ca_crl", vendor.root)):
        for word, window, code in _WINDOWS:
            crl = vendor.crl(authority, window=window)
            yield bench.case(f"{item} {word}", code, items=bench.items() | {item: crl})
        stranger = replace(authority, key=ec.generate_private_key(ec.SECP256R1()))
        yield bench.case(f"{item} by another key", "x509.signature",
                         items=bench.items() | {item: vendor.crl(stranger)})  # fmt: skip
        without = {name: value for name, value in bench.items().items() if name != item}
        yield bench.case(f"{item} missing", "collateral.missing", items=without)
    other = vendor.collateral(platform.tcb_info(bench.tee), platform.qe_identity(bench.tee), ca=Ca.PROCESSOR)
    yield bench.case("list of the other CA", "x509.crl-issuer", items=bench.items() | {"pck_crl": other["pck_crl"]})
    chain = other["pck_crl_issuer_chain"]
    yield bench.case("list with the other CA's chain", "dcap.pck-crl-issuer",
                     items=bench.items() | {"pck_crl_issuer_chain": chain})  # fmt: skip


def document_faults(bench: Bench) -> Iterator[MintedCase]:
    """Of TCB info and QE identity as documents: signer, exact bytes, window, form."""
    tcb, identity = bench.platform.tcb_info(bench.tee), bench.platform.qe_identity(bench.tee)
    for name, member, form, area in (("tcb_info", "tcbInfo", tcb, "dcap.tcb-info"),
                                     ("qe_identity", "enclaveIdentity", identity, "dcap.qe-identity")):  # fmt: skip
        item, body = f"{name}_response", form.body()
        for word, window, code in _WINDOWS:
            yield bench.case(f"{name} {word}", code, items=bench.items(**{name: replace(form, window=window)}))
        honest = bench.items()
        yield bench.case(f"{name} written again with spaces", f"{area}-signature",
                         items=honest | {item: honest[item].replace(b":", b": ").replace(b",", b", ")})  # fmt: skip
        edited = honest[item].replace(b'"UpToDate"', b'"Revoked"', 1)
        yield bench.case(f"{name} edited", f"{area}-signature", items=honest | {item: edited})
        stranger = replace(bench.platform.vendor.tcb_signer, key=ec.generate_private_key(ec.SECP256R1()))
        by_stranger = replace(bench.platform.vendor, tcb_signer=stranger).signed(member, body)
        yield bench.case(f"{name} signed by another key", f"{area}-signature", items=honest | {item: by_stranger})
        for word, old, new in _texts(body):
            changed = bench.platform.collateral(bench.tee, **{name: body.replace(old, new, 1)})
            yield bench.case(f"{name} {word}", area, items=changed)
    yield from _signers(bench)


def level_faults(bench: Bench) -> Iterator[MintedCase]:
    """Of what documents say: other platforms, no level, a revoked one."""
    tcb, identity = bench.platform.tcb_info(bench.tee), bench.platform.qe_identity(bench.tee)
    own = tcb.levels[0]
    revoked = replace(identity.levels[0], status="Revoked")
    high = replace(own, pcesvn=bench.platform.pck.pcesvn + 1)
    for name, code, changed in (
        ("TCB info of another FMSPC", "dcap.tcb-info-platform", replace(tcb, fmspc=bytes(6))),
        ("TCB info of another PCEID", "dcap.tcb-info-platform", replace(tcb, pce_id=b"\x01\x00")),
        ("level revoked", "dcap.tcb-revoked", tcb.with_status("Revoked")),
        ("no level by components", "dcap.tcb-not-supported", replace(tcb, levels=(Level(components=_HIGH),))),
        ("no level by PCESVN", "dcap.tcb-not-supported", replace(tcb, levels=(high,))),
        ("level of a status that nobody knows", "dcap.tcb-info", tcb.with_status("Fine")),
        ("level with 8 components", "dcap.tcb-info", replace(tcb, levels=(Level(components=(0,) * 8),))),
        ("no levels at all", "dcap.tcb-info", replace(tcb, levels=())),
    ):
        yield bench.case(name, code, items=bench.items(tcb_info=changed))
    for name, code, other in (
        ("quoting enclave revoked", "dcap.tcb-revoked", replace(identity, levels=(revoked,))),
        ("no level of the quoting enclave", "dcap.qe-tcb-not-supported",
         replace(identity, levels=(Level(isvsvn=99),))),
        ("QE identity of the other TEE", "dcap.qe-identity-id",
         replace(identity, id="QE" if identity.id == "TD_QE" else "TD_QE")),
        ("QE identity of version 1", "dcap.qe-identity", replace(identity, version=1)),
    ):  # fmt: skip
        yield bench.case(name, code, items=bench.items(qe_identity=other))
    other_tee = replace(tcb, id="SGX" if tcb.id == "TDX" else "TDX")
    yield bench.case("TCB info of the other TEE", "dcap.tcb-info-id", items=bench.items(tcb_info=other_tee))


def module_faults(bench: Bench) -> Iterator[MintedCase]:
    """Of the TDX module."""
    tcb = bench.platform.tcb_info(bench.tee)
    module, own = tcb.modules[0], tcb.levels[0]
    for name, code, modules in (
        ("module missing", "dcap.tdx-module-unknown", (replace(module, id="TDX_03"),)),
        ("module of another signer", "dcap.tdx-module-mrsigner", (replace(module, mr_signer=b"\x01" * 48),)),
        ("module of other attributes", "dcap.tdx-module-attributes", (replace(module, attributes=b"\x01" * 8),)),
        ("module below every level", "dcap.tdx-module-tcb-not-supported",
         (replace(module, levels=(Level(isvsvn=99),)),)),
        ("module revoked", "dcap.tcb-revoked", (replace(module, levels=(Level(isvsvn=1, status="Revoked"),)),)),
        ("module twice", "dcap.tcb-info", (module, module)),
    ):  # fmt: skip
        yield bench.case(name, code, items=bench.items(tcb_info=replace(tcb, modules=modules)))
    late = replace(own, tdx=(*own.tdx[:2], 99, *own.tdx[3:]))
    yield bench.case("no level by the TD's components", "dcap.tcb-not-supported",
                     items=bench.items(tcb_info=replace(tcb, levels=(late,))))  # fmt: skip
    short = replace(own, tdx=own.tdx[:8])
    yield bench.case("level with 8 TDX components", "dcap.tcb-info",
                     items=bench.items(tcb_info=replace(tcb, levels=(short,))))  # fmt: skip


def _windows(bench: Bench) -> Iterator[MintedCase]:
    vendor, platform = bench.platform.vendor, bench.platform
    for word, window, code in _WINDOWS:
        for name in ("root", "platform_ca", "tcb_signer"):
            yield _on(bench, vendor.reissued(name, validity=window)).case(f"{name} {word}", code)
        leaf = vendor.issue(replace(vendor.pck(platform.pck, platform.pck_key.public_key()), validity=window))
        yield bench.case(f"leaf {word}", code, leaf=leaf)


def _leaf_as_ca(bench: Bench) -> Iterator[MintedCase]:
    """A platform's key signs a certificate for itself, as only a CA may."""
    platform, vendor = bench.platform, bench.platform.vendor
    acting = replace(vendor.platform_ca, key=platform.pck_key, certificate=platform.leaf,
                     common_name="Intel SGX PCK Certificate")  # fmt: skip
    below = replace(vendor, platform_ca=acting)
    key = ec.generate_private_key(ec.SECP256R1())
    child = below.issue(below.pck(platform.pck, key.public_key()))
    forged = replace(platform, pck_key=key)
    for name, chain, code in (
        ("leaf that acts as a CA", (child, platform.leaf, vendor.root.certificate), "x509.not-a-ca"),
        ("leaf that acts as a CA, the CA above it",
         (child, platform.leaf, vendor.platform_ca.certificate, vendor.root.certificate), "dcap.pck-chain"),
    ):  # fmt: skip
        form = replace(bench.form(), certification_data=as_pem(*chain) + b"\x00")
        yield bench.case(name, code, raw=forged.quote(form))


def _signers(bench: Bench) -> Iterator[MintedCase]:
    """Who signs documents must be named for it, by the root itself."""
    platform, vendor = bench.platform, bench.platform.vendor
    named = _on(bench, vendor.reissued("tcb_signer", subject="Intel SGX TCB Signings"))
    yield named.case("documents signed by another name", "dcap.collateral-signer")
    below = vendor.reissued("tcb_signer", issuer=vendor.platform_ca)
    chain = as_pem(below.tcb_signer.certificate, vendor.platform_ca.certificate, vendor.root.certificate)
    chains = {"tcb_info_issuer_chain": chain, "qe_identity_issuer_chain": chain}
    yield bench.case("signer of documents issued by the CA of platforms", "dcap.collateral-signer",
                     items=_on(bench, below).items() | chains)  # fmt: skip
    own = replace(vendor, tcb_signer=replace(vendor.tcb_signer, key=platform.pck_key))
    chain = as_pem(platform.leaf, vendor.platform_ca.certificate, vendor.root.certificate)
    chains = {"tcb_info_issuer_chain": chain, "qe_identity_issuer_chain": chain}
    yield bench.case("documents signed by the platform's own key", "dcap.collateral-signer",
                     items=_on(bench, own).items() | chains)  # fmt: skip


def _texts(body: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """Signed as they stand, and yet not what may stand there."""
    version = b'"version":3' if b'"version":3' in body else b'"version":2'
    yield "with a member that stands twice", version, version + b"," + version
    yield "of version 9", version, b'"version":9'
    yield "without its end", b'"nextUpdate"', b'"nextUpdates"'
    yield "with a number in quotes", version, version[:-1] + b'"%s"' % version[-1:]


def _on(bench: Bench, vendor: IntelVendor) -> Bench:
    return bench.on(replace(bench.platform, vendor=vendor))
