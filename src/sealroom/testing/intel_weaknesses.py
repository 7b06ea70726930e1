"""Authentic Intel evidence of every kind: what differs is how current it is, and what a policy has to see."""

from collections.abc import Iterator
from dataclasses import replace

from sealroom.evidence import Tee
from sealroom.pem import as_pem
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.intel import Ca, Level, TcbInfoForm
from sealroom.testing.intel_cases import Bench, MintedCase

__all__ = ["authentic"]

_OUTDATED = {
    "UpToDate": "OutOfDate",
    "SWHardeningNeeded": "OutOfDate",
    "ConfigurationNeeded": "OutOfDateConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded": "OutOfDateConfigurationNeeded",
    "OutOfDate": "OutOfDate",
    "OutOfDateConfigurationNeeded": "OutOfDateConfigurationNeeded",
}
"""A platform's status, and what it becomes where its module or quoting enclave is out of date."""
_SEPT_VE_DISABLE = 1 << 28
_XFAM = 0x602E7


def authentic(platform: DcapPlatform) -> Iterator[MintedCase]:
    """Every kind that is minted."""
    for tee in (Tee.TDX, Tee.SGX):
        bench = Bench(platform=platform, tee=tee)
        for part in (_versions, _encodings, _statuses):
            yield from part(bench)
    bench = Bench(platform=platform)
    yield from _modules(bench)
    yield from _tds(bench)
    yield from _enclaves(replace(bench, tee=Tee.SGX))


def _versions(bench: Bench) -> Iterator[MintedCase]:
    kinds = [{"version": version} for version in ((4, 5) if bench.tee is Tee.TDX else (3, 4, 5))]
    if bench.tee is Tee.TDX:
        kinds.append({"version": 5, "td_15": True})
    for kind in kinds:
        yield bench.case(f"honest, {kind}", form=bench.form(**kind))
    single = DcapPlatform.create(bench.platform.vendor, ca=Ca.PROCESSOR, sgx_type=0)
    yield bench.on(single).case("honest, of the processor CA")
    if bench.tee is Tee.SGX:
        form = TcbInfoForm(id="SGX", version=2, levels=bench.platform.tcb_info(Tee.SGX).levels)
        yield bench.case("TCB info of version 2", items=bench.items(tcb_info=form))


def _encodings(bench: Bench) -> Iterator[MintedCase]:
    items = bench.items()
    pem = {name: as_pem(items[name]).replace(b"CERTIFICATE", b"X509 CRL") for name in ("pck_crl", "root_ca_crl")}
    yield bench.case("lists in PEM", items=items | pem)
    digits = {name: items[name].hex().encode() + b"\x00" for name in pem}
    yield bench.case("lists in hexadecimal", items=items | digits)
    yield bench.case("no auth data", form=replace(bench.form(), auth_data=b""))
    yield bench.case("bytes after the quote", raw=bench.platform.quote(bench.form()) + bytes(99))
    without = {name: value for name, value in items.items() if name != "pck_crl_issuer_chain"}
    yield bench.case("no chain with the list", items=without)


def _statuses(bench: Bench) -> Iterator[MintedCase]:
    tcb, identity = bench.platform.tcb_info(bench.tee), bench.platform.qe_identity(bench.tee)
    old = replace(identity, levels=(replace(identity.levels[0], status="OutOfDate"),))
    for status, outdated in _OUTDATED.items():
        form = tcb.with_status(status, "INTEL-SA-00615")
        yield bench.case(f"platform {status}", items=bench.items(tcb_info=form), status=status)
        yield bench.case(f"platform {status}, quoting enclave out of date", status=outdated,
                         items=bench.items(tcb_info=form, qe_identity=old))  # fmt: skip
    beyond = replace(tcb.levels[0], pcesvn=99)
    yield bench.case("second level reached", status="OutOfDate",
                     items=bench.items(tcb_info=replace(tcb, levels=(beyond, tcb.levels[1]))))  # fmt: skip


def _modules(bench: Bench) -> Iterator[MintedCase]:
    tcb = bench.platform.tcb_info(Tee.TDX)
    old = replace(tcb.modules[0], levels=(Level(isvsvn=6), Level(isvsvn=2, status="OutOfDate")))
    lower = replace(old, id=old.id.lower())
    for status, outdated in _OUTDATED.items():
        form = replace(tcb.with_status(status), modules=(old,))
        yield bench.case(f"platform {status}, module out of date", status=outdated,
                         items=bench.items(tcb_info=form))  # fmt: skip
    yield bench.case("module in small letters", status="OutOfDate",
                     items=bench.items(tcb_info=replace(tcb, modules=(lower,))))  # fmt: skip
    loaded = bytes((6, 1, 4, *bytes(13)))
    for status, advised in (("UpToDate", "TDRelaunchAdvised"),
                            ("ConfigurationNeeded", "TDRelaunchAdvisedConfigurationNeeded")):  # fmt: skip
        form = replace(tcb.with_status(status), modules=(old,))
        yield bench.case(f"platform {status}, module out of date at launch alone", status=advised,
                         form=bench.form(version=5, td_15=True, tee_tcb_svn_2=loaded),
                         items=bench.items(tcb_info=form))  # fmt: skip
    first = bytes((5, 0, 4, *bytes(13)))
    yield bench.case("module of version 0", form=bench.form(tee_tcb_svn=first))


def _tds(bench: Bench) -> Iterator[MintedCase]:
    for flag, attributes in (
        ("td_debug", _SEPT_VE_DISABLE | 1), ("td_attributes_reserved", _SEPT_VE_DISABLE | 2),
        ("sept_ve_disable_off", 0), ("migratable", _SEPT_VE_DISABLE | 1 << 29),
        ("perfmon", _SEPT_VE_DISABLE | 1 << 63),
    ):  # fmt: skip
        yield bench.case(flag, form=bench.form(td_attributes=attributes), flags=frozenset({flag}))
    for flag, xfam in (("xfam_required_bit_clear", _XFAM & ~2), ("xfam_unknown_bit", _XFAM | 1 << 40)):
        yield bench.case(flag, form=bench.form(xfam=xfam), flags=frozenset({flag}))
    bound = bench.form(version=5, td_15=True, mr_service_td=b"\x01" * 48)
    yield bench.case("service TD", form=bound, flags=frozenset({"mr_service_td_nonzero"}))


def _enclaves(bench: Bench) -> Iterator[MintedCase]:
    for flag, attributes in (("enclave_debug", 0x7), ("provision_key", 0x15), ("einittoken_key", 0x25),
                             ("not_initialised", 0x4)):  # fmt: skip
        yield bench.case(flag, form=bench.form(attributes=attributes), flags=frozenset({flag}))
