"""``sealroom seal`` and ``sealroom unseal``: model files to a sealed model, and (for its owner) back."""

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sealroom.broker.admin_client import read_admin_token, register_key, require_private_way
from sealroom.broker.registration import Registration
from sealroom.cli.input_files import expand_home, naming, read_input, read_policy_bytes
from sealroom.cli.progress import Steps
from sealroom.errors import MisuseError, UnavailableError
from sealroom.kbs.messages import ResourceId
from sealroom.policy import load_policy
from sealroom.sealed import HeldByBroker, ModelKey, PublisherKey, digest_text
from sealroom.sealed.format import parse_digest
from sealroom.sealed.stores import (
    SealedModelInfo,
    SealedPackage,
    check_every_chunk,
    insecure_unseal_to_folder,
    open_package,
    read_key_file,
    refuse_existing_key_file,
    seal_model,
    write_key_file,
)
from sealroom.sealed.wraps import Recipient, load_recipient, load_recipient_key, open_wrap

__all__ = ["register", "seal", "unseal"]

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_DEFAULT_PUBLISHER = Path("~/.config/sealroom/publisher.pem")
_BROKER_PATIENCE = (1, 2, 5, 10, 20)
"""Seconds between attempts to hand the key over, when the sealing is done and the broker does not answer."""


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("seal")(seal)
    app.command("unseal")(unseal)


def seal(  # noqa: PLR0913  each is an option of the command
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, or a folder of model files.")],
    *,
    broker: Annotated[str | None, typer.Option(help="Address of the key broker that shall release the key.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy by which the broker releases the key.")] = None,
    admin_token: Annotated[Path | None, typer.Option(help="File with the broker's admin token.")] = None,
    keep_older: Annotated[
        bool, typer.Option("--keep-older", help="Let the broker go on releasing older versions.")
    ] = False,
    key_file: Annotated[Path | None, typer.Option(help="New file for the key itself, mode 0600.")] = None,
    recipient: Annotated[
        list[Path] | None, typer.Option(help="X25519 public key (PEM) to seal the key to; may be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Model name; by default from the file's name.")] = None,
    version: Annotated[int, typer.Option(help="Higher than every version of this name before.")] = 1,
    output: Annotated[Path | None, typer.Option(help="The sealed model; by default NAME-vVERSION.sealed.")] = None,
    publisher_key: Annotated[
        Path | None, typer.Option(help="Ed25519 private key (PEM); made where it does not exist.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Encrypt and sign a model.

    Its key goes to a broker, into a file, or to a recipient's public key.
    """
    label = (name or _name_of(model), version)
    keeping = _Keeping(
        registering=_registering(broker, policy, admin_token, keep_older=keep_older), key_file=key_file
    )
    recipients = [_recipient(path) for path in recipient or ()]
    _require_a_keeper(keeping, recipients)
    info = _sealed(model, output, label, _publisher(publisher_key), keeping, recipients)
    _tell_sealed(info, keeping, as_json=as_json)


def unseal(
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="The sealed model.")],
    *,
    key_file: Annotated[Path | None, typer.Option(help="File with the model's key.")] = None,
    recipient_key: Annotated[Path | None, typer.Option(help="X25519 private key (PEM) that it is sealed to.")] = None,
    publisher: Annotated[
        str | None, typer.Option(help="sha256:… of the publisher's key that must have signed.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="New folder for the plaintext.")] = None,
    insecure_write_plaintext: Annotated[
        bool,
        typer.Option(
            "--insecure-write-plaintext", help="Needed with --output: the model will lie on a disk, readable."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Check that a sealed model opens with a key.

    With --output, write its plaintext to a disk, which a room never needs.
    """
    if output is not None and not insecure_write_plaintext:
        raise MisuseError("seal.plaintext-to-disk", "this writes the model's plaintext to a disk", where="--output",
                          got=str(output), expected="--insecure-write-plaintext beside it",
                          hint="without --output the sealed model is only checked")  # fmt: skip
    pin = None if publisher is None else parse_digest(publisher, code="seal.bad-publisher", where="--publisher")
    opened = open_package(package, publisher=pin)
    key = _find_key(opened, key_file, recipient_key)
    with Steps() as steps:
        steps.begin("unseal", f"opening {package}")
        if output is None:
            check_every_chunk(opened, key, progress=lambda done, total: steps.progress("unseal", done, total))
        else:
            insecure_unseal_to_folder(
                opened, key, output, progress=lambda done, total: steps.progress("unseal", done, total)
            )
        steps.done("unseal", f"{package} is whole" if output is None else f"wrote PLAINTEXT to {output}")
    _tell_unsealed(opened, output, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Registering:
    """How the key gets to a broker."""

    url: str
    token: str
    policy: str
    keep_older: bool

    def register(self, info: SealedModelInfo) -> None:
        """Hand the key over; patient, since all the sealing would be undone."""
        registration = Registration(
            resource=ResourceId.parse(info.resource),
            key=info.dek.secret,
            policy=self.policy,
            model_name=info.manifest.name,
            model_version=info.manifest.version,
            keep_older=self.keep_older,
        )
        for pause in _BROKER_PATIENCE:
            try:
                register_key(self.url, self.token, registration)
            except UnavailableError as error:
                _say(f"the broker does not take the key yet ({error.code}); again in {pause} s")
                time.sleep(pause)
            else:
                return
        register_key(self.url, self.token, registration)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keeping:
    """Where the key goes before the sealed model can be opened by anybody."""

    registering: _Registering | None
    key_file: Path | None

    def keep(self, info: SealedModelInfo) -> None:
        """File first: it can not be refused by anybody else, and loses nothing if the broker then refuses."""
        if self.key_file is not None:
            write_key_file(self.key_file, info.dek, package_digest=info.package_digest)
        if self.registering is not None:
            try:
                self.registering.register(info)
            except BaseException:
                # the sealed model is undone now: a key file of a package that never was would only confuse
                if self.key_file is not None:
                    self.key_file.unlink()
                raise


def _registering(
    broker: str | None, policy: Path | None, admin_token: Path | None, *, keep_older: bool
) -> _Registering | None:
    if broker is None:
        return None
    if policy is None or admin_token is None:
        raise MisuseError("seal.broker-options", "a broker needs a policy and an admin token to take a key",
                          where="--broker", expected="--policy FILE and --admin-token FILE",
                          hint="`sealroom broker run` prints where its admin token is")  # fmt: skip
    require_private_way(broker)
    try:
        text = read_policy_bytes(policy).decode()
    except UnicodeDecodeError:
        raise MisuseError("seal.bad-policy", "the policy is not text", where=str(policy)) from None
    load_policy(text, source=str(policy))  # what does not load is better known before hours of sealing than after
    return _Registering(url=broker, token=read_admin_token(admin_token), policy=text, keep_older=keep_older)


def _require_a_keeper(keeping: _Keeping, recipients: Sequence[Recipient]) -> None:
    if keeping.registering is None and keeping.key_file is None and not recipients:
        raise MisuseError("seal.no-keeper", "nobody would keep the key of the sealed model",
                          expected="--broker URL, --key-file FILE or --recipient FILE")  # fmt: skip
    if keeping.key_file is not None:
        refuse_existing_key_file(keeping.key_file)


def _recipient(path: Path) -> Recipient:
    with naming(path):
        return load_recipient(read_input(path, limit=4096))


def _publisher(path: Path | None) -> PublisherKey:
    place = expand_home(path or _DEFAULT_PUBLISHER, option="--publisher-key")
    if place.exists():
        with naming(place):
            return PublisherKey.from_pem(read_input(place, limit=4096))
    key = PublisherKey.generate()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.to_pem())
    except OSError as error:
        raise MisuseError("seal.publisher-key", "a publisher's key can not be written", where=str(place),
                          got=error.strerror) from None  # fmt: skip
    _say(f"made a publisher's key: {place}   keep it, and keep it secret")
    return key


def _find_key(package: SealedPackage, key_file: Path | None, recipient_key: Path | None) -> ModelKey:
    if (key_file is None) == (recipient_key is None):
        raise MisuseError("seal.which-key", "one key is needed", expected="--key-file FILE or --recipient-key FILE")
    if key_file is not None:
        return read_key_file(key_file, package_digest=package.package_digest)
    assert recipient_key is not None  # noqa: S101  for the type checker: one of them is given
    with naming(recipient_key):
        private_key = load_recipient_key(read_input(recipient_key, limit=4096))
    return open_wrap(package.wraps, private_key, package.package_digest)


def _name_of(model: Path) -> str:
    path = model.resolve()
    stem = path.name if path.is_dir() else path.stem
    return _NOT_IN_A_NAME.sub("-", stem).strip("-.")[:100] or "model"


def _sealed(
    model: Path,
    output: Path | None,
    label: tuple[str, int],
    publisher: PublisherKey,
    keeping: _Keeping,
    recipients: Sequence[Recipient],
) -> SealedModelInfo:
    """Seal under the name and version of ``label``, and show how it goes."""
    name, version = label
    with Steps() as steps:
        steps.begin("seal", f"sealing {model}")
        info = seal_model(
            model,
            output or Path(f"{name}-v{version}.sealed"),
            name=name,
            version=version,
            publisher=publisher,
            recipients=[*([HeldByBroker()] if keeping.registering else []), *recipients],
            keep_key=keeping.keep,
            progress=lambda done, total: steps.progress("seal", done, total),
        )
        steps.done("seal", f"sealed {model} into {info.path}")
    return info


def _tell_sealed(info: SealedModelInfo, keeping: _Keeping, *, as_json: bool) -> None:
    registering = keeping.registering
    facts: dict[str, object] = {
        "path": str(info.path),
        "name": info.manifest.name,
        "version": info.manifest.version,
        "files": len(info.manifest.files),
        "bytes": info.manifest.identity.total_size,
        "model_digest": digest_text(info.model_digest),
        "package_digest": digest_text(info.package_digest),
        "publisher": digest_text(info.manifest.publisher),
        "resource": None if registering is None else info.resource,
        "broker": None if registering is None else registering.url,
        "key_file": None if keeping.key_file is None else str(keeping.key_file),
    }
    _tell(facts, as_json=as_json)


def _tell_unsealed(package: SealedPackage, output: Path | None, *, as_json: bool) -> None:
    if not package.publisher_pinned:
        _say("warning: no --publisher was given, so this says nothing about who made the model")
    facts: dict[str, object] = {
        "name": package.manifest.name,
        "version": package.manifest.version,
        "files": len(package.manifest.files),
        "bytes": package.manifest.identity.total_size,
        "model_digest": digest_text(package.model_digest),
        "package_digest": digest_text(package.package_digest),
        "publisher": digest_text(package.manifest.publisher),
        "publisher_pinned": package.publisher_pinned,
        "output": None if output is None else str(output),
    }
    _tell(facts, as_json=as_json)


def _tell(facts: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts))  # noqa: T201 - data
        return
    for name, value in facts.items():
        if value is not None:
            print(f"{name.replace('_', ' '):<17}{value}")  # noqa: T201 - data


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command line's own voice
