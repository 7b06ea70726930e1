"""How a room gets its model's key: the client's half of the KBS handshake. ``spec/key-release.md`` section 1.

Our broker or a stock Trustee may stand on the other side, and neither is trusted: what comes back is opened with a
key that was born here for this one exchange, and the sealed model says by its own tags whether it is the right one.
"""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from http import HTTPStatus

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.errors import (
    MalformedError,
    MisuseError,
    RefusedError,
    SealroomError,
    UnavailableError,
    UnverifiedError,
)
from sealroom.evidence import Attester, CollectedEvidence
from sealroom.kbs.binding import fit, primary_digest
from sealroom.kbs.device_evidence import device_nonce, write_device_evidence
from sealroom.kbs.errors_json import ErrorReply, parse_error
from sealroom.kbs.evidence import format_for, name_of
from sealroom.kbs.json_text import JsonObject
from sealroom.kbs.jwe import open_jwe
from sealroom.kbs.messages import PREFIX, Attestation, Request, ResourceId, parse_challenge, parse_token
from sealroom.kbs.tee_key import ec_jwk
from sealroom.room.broker_transport import BROKER_DOWN, BrokerAddress, BrokerConnection

__all__ = ["DeviceAnswers", "Step", "fetch_key"]

DeviceAnswers = Callable[[bytes], Awaitable[Mapping[str, CollectedEvidence]]]
"""Evidence of every device of this machine, each answering these 32 bytes."""

_log = logging.getLogger("sealroom.room")


class Step(StrEnum):
    """How far a handshake has come."""

    COLLECTED = "collected"
    """There is evidence for the broker's nonce."""
    ATTESTED = "attested"
    """The broker has verified it; whether its policy releases the key is the next question."""


async def fetch_key(
    broker_url: str, resource: str, attester: Attester, *, init_data: bytes | None = None, tee: str | None = None,
    devices: DeviceAnswers | None = None, on_step: Callable[[Step], None] = lambda _: None,
) -> bytes:  # fmt: skip
    """Prove this machine to the broker and return the key called ``resource``.

    Args:
        broker_url: ``https://kbs.example:8080``; the protocol's path is added.
        resource: ``models/smollm2/v1`` (``kbs:///`` in front is allowed).
        attester: this machine's silicon; asked once.
        init_data: the document whose digest the evidence holds (`binding.INIT_DATA_FIELD`), or None.
        tee: the protocol's name for the hardware, said before there is evidence; None: what the attester is.
        devices: asks this machine's devices, whose evidence goes along; None: it has none.
        on_step: told of each step as it is done.

    Raises:
        UnavailableError: the broker does not answer, or says that it can not now.
        RefusedError, UnverifiedError: it says no; the code is the one that it gave.
        MalformedError: it does not speak KBS 0.4.0.
    """
    name, tee = ResourceId.parse(resource), tee or name_of(attester)
    address = BrokerAddress.parse(broker_url)
    private = ec.generate_private_key(ec.SECP256R1())
    async with BrokerConnection(address) as broker:
        asking = _Asking(broker, address)
        nonce = parse_challenge(await asking.call("POST", "/auth", Request(tee=tee).encode()))
        jwk = ec_jwk(private.public_key(), alg="ECDH-ES+A256KW")
        runtime: JsonObject = {"nonce": nonce, "tee-pubkey": jwk}
        # the devices first: the CPU vouches for what they said
        said = {} if devices is None else await devices(device_nonce(runtime))
        unsigned = Attestation(runtime_data=runtime, primary_evidence={}, init_data=init_data,
                               additional_evidence=write_device_evidence(said.values()))  # fmt: skip
        body = await asyncio.to_thread(_vouched, attester, tee, unsigned)
        on_step(Step.COLLECTED)
        token = parse_token(await asking.call("POST", "/attest", body))
        on_step(Step.ATTESTED)
        answer = await asking.call("GET", f"/resource/{name}", token=token)
    return open_jwe(private, answer)


def _vouched(attester: Attester, tee: str, message: Attestation) -> bytes:
    form = format_for(tee)
    digest = primary_digest(message.runtime_data, message.additional_evidence)
    collected = attester.collect(fit(digest, form.report_data_size))
    if collected.tee is not form.tee:
        raise MisuseError("room.wrong-tee", "the attester is of another TEE than was announced to the broker",
                          got=collected.tee, expected=form.tee)  # fmt: skip
    return replace(message, primary_evidence=form.write(collected.raw, collected.collateral)).encode()


class _Asking:
    """The protocol's requests over one connection."""

    def __init__(self, broker: BrokerConnection, address: BrokerAddress) -> None:
        self._broker = broker
        self._address = address

    async def call(self, method: str, path: str, body: bytes = b"", *, token: str | None = None) -> bytes:
        headers = {"content-type": "application/json"} if body else {}
        if (authorization := self._authorization(token)) is not None:
            headers["authorization"] = authorization
        answer = await self._broker.ask(method, PREFIX + path, headers=headers, body=body)
        _log.debug("broker answered %s with %d, %d bytes", path, answer.status, len(answer.body))
        if answer.ok:
            return answer.body
        raise _refusal(answer.status, answer.body, self._address.origin + PREFIX + path)

    def _authorization(self, token: str | None) -> str | None:
        if token is not None:
            return f"Bearer {token}"
        if self._address.credentials is None:
            return None
        return "Basic " + base64.b64encode(":".join(self._address.credentials).encode()).decode()


def _refusal(status: int, raw: bytes, where: str) -> SealroomError:
    try:
        reply = parse_error(raw)
    except MalformedError:
        reply = ErrorReply(name="", detail="", codes=())
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnavailableError("room.broker-unavailable", "the broker can not answer now", where=where,
                                got=f"{status} {reply.detail}".strip(), hint=BROKER_DOWN)  # fmt: skip
    if not reply.name:
        return MalformedError("room.broker-answer", "the answer is not one of a KBS 0.4.0 broker", where=where,
                              got=f"status {status}", hint="is this the broker's address?")  # fmt: skip
    family = UnverifiedError if reply.name in {"TokenNotFound", "TokenVerifierError"} else RefusedError
    code = reply.codes[0] if reply.codes else _FALLBACK.get(reply.name, "broker.refused")
    return family(code, "the broker refuses the key", where=where, got=f"{reply.name}: {reply.detail}",
                  hint="`sealroom broker log` on the broker's side has the whole reason")  # fmt: skip


_FALLBACK = {"PolicyDeny": "broker.policy-deny", "AttestationError": "broker.attestation-refused"}
