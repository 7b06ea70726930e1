"""One fault each in the certificates of a Nitro document, which is signed as it stands."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealroom.evidence import Validity
from sealroom.testing import der
from sealroom.testing.nitro import NitroMachine, NitroVendor
from sealroom.testing.nitro_cases import AT, Bench, NitroCase
from sealroom.testing.pki import CertificateForm

__all__ = ["chain_faults"]

_NAMES = ("region", "zone", "instance", "module")
_PAST = Validity(not_before=AT - timedelta(days=9), not_after=AT - timedelta(seconds=1))
_FUTURE = Validity(not_before=AT + timedelta(seconds=1), not_after=AT + timedelta(days=9))
_UNKNOWN = ("2.5.29.99", True, b"\x05\x00")
_CONSTRAINTS, _USAGE = "2.5.29.19", "2.5.29.15"

_Edit = Callable[[CertificateForm], CertificateForm]


def chain_faults(bench: Bench) -> Iterator[NitroCase]:
    """Every fault of the chain."""
    for make in (_order, _strangers, _windows, _rules, _keys):
        yield from make(bench)


def _order(bench: Bench) -> Iterator[NitroCase]:
    form = bench.form()
    module, instance, zone, region, root = form.chain
    broken = {
        "the bundle leaf first": ("x509.untrusted-root", (module, root, region, zone, instance)),
        "without its root": ("x509.untrusted-root", form.chain[:-1]),
        "without its region": ("x509.issuer-name", (module, instance, zone, root)),
        "without its zone": ("x509.issuer-name", (module, instance, region, root)),
        "without its instance": ("x509.issuer-name", (module, zone, region, root)),
        "region and zone in the wrong order": ("x509.issuer-name", (module, instance, region, zone, root)),
        "of the root alone": ("x509.issuer-name", (module, root)),
        "longer than any": ("x509.chain-length", (module, instance, zone, region, root, root, root)),
        "signed by the key of the instance": ("x509.not-an-end-entity", (instance, zone, region, root)),
    }
    for name, (code, chain) in broken.items():
        key = bench.machine.keys[-2] if "key of the instance" in name else bench.machine.key
        yield _signed(bench, name, code, chain, key)


def _strangers(bench: Bench) -> Iterator[NitroCase]:
    """Who makes all of it anew, under the same names, and who certifies with a key that is not the issuer's."""
    machine, form = bench.machine, bench.form()
    stranger = replace(machine, vendor=NitroVendor.create())
    yield bench.case("under another root of the same name", "x509.untrusted-root",
                     form=replace(form, chain=stranger.issue(stranger.forms(AT))))  # fmt: skip
    other = NitroMachine.create(vendor=machine.vendor)
    for depth, name in enumerate(_NAMES):
        forged = replace(machine, keys=(*machine.keys[:depth], *other.keys[depth:]))
        below = forged.issue(forged.forms(AT))[: len(_NAMES) - depth]
        chain = (*below[:-1], *form.chain[len(_NAMES) - depth - 1 :])
        if depth < len(_NAMES) - 1:
            yield _signed(bench, f"below a {name} of the same name and another key", "x509.signature", chain,
                          forged.key)  # fmt: skip


def _windows(bench: Bench) -> Iterator[NitroCase]:
    for depth, name in enumerate(_NAMES):
        for word, code, window in (("has run out", "expired", _PAST), ("is not valid yet", "not-yet-valid", _FUTURE)):
            yield _edited(bench, f"whose {name} {word}", f"x509.{code}", depth, _with_window(window))


def _rules(bench: Bench) -> Iterator[NitroCase]:
    for depth, name in enumerate(_NAMES):
        yield _edited(bench, f"whose {name} has a critical extension that nobody knows", "x509.critical-extension",
                      depth, lambda form: replace(form, extensions=(*form.extensions, _UNKNOWN)))  # fmt: skip
    for depth, name in enumerate(_NAMES[:3]):
        leaf = (_CONSTRAINTS, True, der.sequence())
        yield _edited(bench, f"whose {name} is no CA", "x509.not-a-ca", depth, _with_extension(leaf))
        usage = (_USAGE, True, der.named_bits(0))
        yield _edited(bench, f"whose {name} may not certify", "x509.not-a-ca", depth, _with_extension(usage))
        if depth < 2:
            short = (_CONSTRAINTS, True, der.sequence(der.boolean(True), der.integer(1 - depth)))
            yield _edited(bench, f"whose {name} has more CAs below it than it may", "x509.path-length", depth,
                          _with_extension(short))  # fmt: skip
    ca = (_CONSTRAINTS, True, der.sequence(der.boolean(True)))
    yield _edited(bench, "whose module is a CA", "x509.not-an-end-entity", 3, _with_extension(ca))
    certifies = (_USAGE, False, der.named_bits(5))
    yield _edited(bench, "whose module may not sign", "x509.not-an-end-entity", 3, _with_extension(certifies))


def _keys(bench: Bench) -> Iterator[NitroCase]:
    machine = bench.machine
    for name, curve in (("P-256", ec.SECP256R1()), ("P-521", ec.SECP521R1())):
        key = ec.generate_private_key(curve)
        yield _keyed(bench, f"whose module has a key on {name}", "nitro.leaf-key", key)
    for depth, name in enumerate(_NAMES[:3]):
        keys = [*machine.keys]
        keys[depth] = ec.generate_private_key(ec.SECP256R1())
        weak = replace(machine, keys=tuple(keys))
        yield bench.case(f"whose {name} signs with SHA-256", "x509.signature-algorithm",
                         form=replace(bench.form(), chain=weak.issue(weak.forms(AT))))  # fmt: skip
    long = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    yield _edited(bench, "whose module has an RSA key", "nitro.leaf-key", 3,
                  lambda form: replace(form, public_key=long))  # fmt: skip


def _keyed(bench: Bench, name: str, code: str, key: ec.EllipticCurvePrivateKey) -> NitroCase:
    """The module has this key."""
    machine = replace(bench.machine, keys=(*bench.machine.keys[:-1], key))
    chain = machine.issue(machine.forms(AT))
    return _signed(bench, name, code, chain, key)


def _edited(bench: Bench, name: str, code: str, depth: int, edit: _Edit) -> NitroCase:
    """One certificate is issued otherwise, and what is below it as ever."""
    forms = list(bench.machine.forms(AT))
    forms[depth] = edit(forms[depth])
    return bench.case(name, code, form=replace(bench.form(), chain=bench.machine.issue(tuple(forms))))


def _signed(
    bench: Bench, name: str, code: str, chain: tuple[bytes, ...], key: ec.EllipticCurvePrivateKey
) -> NitroCase:
    """These certificates, the document signed by ``key``."""
    machine = replace(bench.machine, keys=(*bench.machine.keys[:-1], key))
    return bench.case(name, code, raw=machine.sign(replace(bench.form(), chain=chain)))


def _with_window(window: Validity) -> _Edit:
    return lambda form: replace(form, validity=window)


def _with_extension(extension: tuple[str, bool, bytes]) -> _Edit:
    """In place of the one of its kind."""
    return lambda form: replace(form, extensions=tuple(
        extension if extension[0] == old[0] else old for old in form.extensions
    ))  # fmt: skip
