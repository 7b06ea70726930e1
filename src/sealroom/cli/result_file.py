"""The verdict of ``sealroom verify`` in a file, as an attestation result for those who verify no evidence."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import typer
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.cli.input_files import parse_hex_option
from sealroom.cli.signing_keys import read_signing_key
from sealroom.ear import Consumer, Ear, ear_of, issue_cwt, issue_jwt
from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Appraisal

__all__ = ["ResultFor", "ResultForm", "ResultOrder", "order_of"]

_NONCE = (8, 64)
_MOST_MINUTES = 366 * 24 * 60


class ResultForm(StrEnum):
    """How a result is encoded."""

    JWT = "jwt"
    CBOR = "cbor"


class ResultFor(StrEnum):
    """Who reads a result in a JWT, which decides its names."""

    IETF = "ietf"
    VERAISON = "veraison"
    TRUSTEE = "trustee"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultOrder:
    """A result that was asked for, and the key that signs it: read before anything is judged."""

    path: Path
    key: ec.EllipticCurvePrivateKey
    form: ResultForm
    consumer: Consumer
    issuer: str | None
    nonce: bytes | None
    lifetime: timedelta

    def write(self, appraisal: Appraisal, *, at: datetime) -> Ear:
        """Sign the result of ``appraisal`` into the file.

        Raises:
            UnavailableError: ``cli.output``.
        """
        issued = at.replace(microsecond=0)
        named: dict[str | int, str] = {} if self.issuer is None else {"iss": self.issuer}
        ear = ear_of(appraisal, issued_at=issued, expires_at=issued + self.lifetime, nonce=self.nonce,
                     extensions=named)  # fmt: skip
        if self.form is ResultForm.CBOR:
            raw = issue_cwt(ear, self.key)
        else:
            raw = issue_jwt(ear, self.key, consumer=self.consumer).encode("ascii") + b"\n"
        try:
            self.path.write_bytes(raw)
        except OSError as reason:
            raise UnavailableError("cli.output", "the result can not be written", where=str(self.path),
                                   got=reason.strerror) from None  # fmt: skip
        typer.echo(f"wrote {self.path}: {ear.status.name.lower()}", err=True)
        return ear


def order_of(
    path: Path | None,
    key: Path | None,
    *,
    form: ResultForm,
    consumer: ResultFor,
    issuer: str | None,
    nonce: str | None,
    minutes: int,
) -> ResultOrder | None:
    """What the options of ``--ear`` ask for; None without them.

    Raises:
        MisuseError: ``cli.ear-options``, ``cli.signing-key``, ``cli.cannot-read``, ``cli.bad-hex``.
    """
    if path is None or key is None:
        if path is not None or key is not None or issuer is not None or nonce is not None:
            raise _bad("a result needs a file and a key", "--ear FILE and --ear-key FILE")
        return None
    if form is ResultForm.CBOR and consumer is not ResultFor.IETF:
        raise _bad("a result in CBOR has one spelling", "--ear-for ietf, or --ear-form jwt")
    if not 1 <= minutes <= _MOST_MINUTES:
        raise _bad("a result lasts some minutes", f"1 to {_MOST_MINUTES}")
    return ResultOrder(
        path=path, key=read_signing_key(key, option="--ear-key"), form=form, consumer=Consumer[consumer.name],
        issuer=issuer, nonce=parse_hex_option(nonce, option="--ear-nonce", least=_NONCE[0], size=_NONCE[1]),
        lifetime=timedelta(minutes=minutes),
    )  # fmt: skip


def _bad(message: str, expected: str) -> MisuseError:
    return MisuseError("cli.ear-options", message, expected=expected)
