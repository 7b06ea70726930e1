"""A simulated platform kept in a directory, so that several processes are guests of one machine.

The directory is for its owner alone (0700), the one file in it too (0600): whoever reads it can sign anything that
this machine could. It appears whole or not at all; if two processes make one at once, both use the first.
"""

import json
import os
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from sealroom.errors import MalformedError, UnavailableError
from sealroom.tees.snp.layout import SigningKey
from sealroom.tees.snp.tcb import Product
from sealroom.testing.pki import Authority
from sealroom.testing.snp import SnpPlatform, SnpVendor

__all__ = ["load_platform", "platform_at", "save_platform"]

_FILE = "snp-platform.json"


def platform_at(directory: Path, *, product: Product = Product.GENOA) -> SnpPlatform:
    """The platform kept in ``directory``; a new one of ``product`` if there is none."""
    if not (directory / _FILE).exists():
        save_platform(SnpPlatform.create(product), directory)
    return load_platform(directory)


def save_platform(platform: SnpPlatform, directory: Path) -> None:
    """Keep ``platform`` in ``directory`` unless one is there already.

    Raises:
        UnavailableError: ``simulated.store``.
    """
    vendor = platform.vendor
    document = {
        "product": platform.product.value,
        "kind": platform.kind.name,
        "chip_id": platform.chip_id.hex(),
        "secret": platform.secret.hex(),
        "tcb": dict(platform.tcb),
        "ark": _authority_document(vendor.ark),
        "ask": _authority_document(vendor.ask),
    }
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(directory / _FILE, json.dumps(document, indent=1).encode())
    except OSError as reason:
        raise UnavailableError("simulated.store", f"the simulated platform can not be kept: {reason.strerror}",
                               where=str(directory)) from None  # fmt: skip


def load_platform(directory: Path) -> SnpPlatform:
    """The platform kept in ``directory``.

    Raises:
        UnavailableError: ``simulated.store``: there is none.
        MalformedError: ``simulated.store``: the file is damaged.
    """
    path = directory / _FILE
    try:
        document = json.loads(path.read_bytes())
        product = Product(document["product"])
        return SnpPlatform(
            vendor=SnpVendor(
                product=product,
                ark=_authority(f"ARK-{product}", document["ark"]),
                ask=_authority(f"SEV-{product}", document["ask"]),
            ),
            chip_id=bytes.fromhex(document["chip_id"]),
            secret=bytes.fromhex(document["secret"]),
            tcb={str(part): int(version) for part, version in document["tcb"].items()},
            kind=SigningKey[document["kind"]],
        )
    except OSError as reason:
        raise UnavailableError("simulated.store", f"there is no simulated platform: {reason.strerror}",
                               where=str(path), hint="sealroom simulate makes one") from None  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as reason:
        raise MalformedError("simulated.store", f"the simulated platform is damaged ({type(reason).__name__})",
                             where=str(path), hint="remove the file, and a new one is made") from None  # fmt: skip


def _write_once(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.link(name, path)  # fails if it exists, and never shows half a file
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()


def _authority_document(authority: Authority) -> dict[str, str]:
    key = authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"key": key.decode(), "certificate": authority.certificate.hex()}


def _authority(common_name: str, document: dict[str, str]) -> Authority:
    # the library's check of an RSA-4096 key takes a quarter of a second; this file is our own, and guards nothing
    key = load_pem_private_key(document["key"].encode(), password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(common_name)
    return Authority(key=key, common_name=common_name, certificate=bytes.fromhex(document["certificate"]))
