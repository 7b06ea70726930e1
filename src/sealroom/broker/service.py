"""The guest's half of the protocol: auth, attest, release. ``spec/key-release.md`` sections 6 and 7.

Every method may be called from any thread, and by several brokers on one database at once.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from sealroom.broker.attestation import authenticate, kept_attestation, read_guest, vouched_key
from sealroom.broker.records import Narrative, machine_facts, resource_facts, session_trace
from sealroom.broker.stores.resources import Resource
from sealroom.broker.stores.sessions import Session
from sealroom.broker.stores.state_dir import State
from sealroom.broker.tokens import TokenSigner
from sealroom.errors import RefusedError, SealroomError, UnavailableError, UnverifiedError
from sealroom.evidence import AttestedKey, KeyPurpose, TrustRoots
from sealroom.kbs.evidence import format_for
from sealroom.kbs.json_text import b64_encode, compact, parse_object
from sealroom.kbs.jwe import seal_jwe
from sealroom.kbs.messages import NONCE_SIZE, ResourceId, parse_attestation, parse_request, write_challenge
from sealroom.kbs.tee_key import parse_tee_key
from sealroom.policy import Policy, load_policy

__all__ = ["SESSION_SECONDS", "Answer", "Broker"]

_log = logging.getLogger("sealroom.broker")

SESSION_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a step of the handshake gives: a body, and the session that the cookie names."""

    body: bytes = field(repr=False)
    session_id: str = field(repr=False)
    expires_at: int
    """Seconds since 1970."""


class Broker:
    """Keys for evidence."""

    def __init__(self, state: State, *, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._clock = clock
        self._signer = TokenSigner(state.signing_key, state.broker_id)

    def begin(self, raw: bytes) -> Answer:
        """``/auth``: a session and its nonce."""
        tee = parse_request(raw).tee
        format_for(tee)
        nonce, now = secrets.token_bytes(NONCE_SIZE), self._now()
        session = Session(id=secrets.token_hex(16), tee=tee, nonce=b64_encode(nonce),
                          expires_at=now + SESSION_SECONDS, state="challenged")  # fmt: skip
        self._state.sessions.create(session, now=now)
        return Answer(body=write_challenge(nonce), session_id=session.id, expires_at=session.expires_at)

    def attest(self, session_id: str | None, raw: bytes) -> Answer:
        """``/attest``: the nonce is burnt first, and whatever comes of the rest."""
        session = self._live(self._state.sessions.find(session_id) if session_id else None)
        if not self._state.sessions.burn(session.id):
            raise UnverifiedError("broker.nonce-used", "this session's nonce was used before", hint="begin at /auth")
        story = Narrative(self._state.audit, session=session_trace(session.id))
        try:
            return self._attest(session, raw, story)
        except SealroomError as error:
            _log.info("attestation refused: %s", error.code)
            story.tell_refusal("attestation-refused", error, at=self._clock())
            raise

    def _attest(self, session: Session, raw: bytes, story: Narrative) -> Answer:
        message = parse_attestation(raw)
        if message.nonce != session.nonce:
            raise UnverifiedError("broker.nonce", "the nonce is not the one of this session", hint="begin at /auth")
        guest = read_guest(session.tee, message)
        story.add(guest.facts())
        claims = authenticate(guest, roots=self._every_root(), at=self._clock())
        story.add(machine_facts(*claims))
        to_keep = kept_attestation(guest, message)
        token_id, now = secrets.token_hex(16), self._now()
        simulated = any(one.simulated for one in claims)
        token = self._signer.issue(token_id, message.tee_pubkey, simulated=simulated, now=now,
                                   expires_at=session.expires_at)  # fmt: skip
        with self._state.database.transaction():
            self._state.sessions.attest(session.id, to_keep, token_id)
            story.tell("attested", at=self._clock())
        return Answer(body=compact({"token": token}), session_id=session.id, expires_at=session.expires_at)

    def release(self, path: str, *, bearer: str | None, session_id: str | None) -> bytes:
        """GET of a resource: its key, as a JWE, if its policy accepts who asks."""
        name = str(ResourceId.parse(path))
        session = self._asker(bearer, session_id)
        story = Narrative(self._state.audit, session=session_trace(session.id), resource=name)
        try:
            return self._release(session, name, story)
        except SealroomError as error:
            _log.info("refused %s: %s", name, error.code)
            story.tell_refusal("refused", error, at=self._clock())
            raise

    def _release(self, session: Session, name: str, story: Narrative) -> bytes:
        resource = self._releasable(name, story)
        guest = read_guest(session.tee, parse_attestation(session.attestation or b""))
        story.add(guest.facts())
        at = self._clock()
        attested = vouched_key(guest, _policy(resource.policy or ""), at=at)
        story.add(machine_facts(attested.appraisal.claims, *attested.appraisal.devices))
        with self._state.database.transaction():
            # Deleted, retired or given another policy since the first look? Then the first look counts for nothing.
            if self._releasable(name, story) != resource:
                raise UnavailableError("broker.resource-changed", "the registration is just being changed")
            key = self._state.resources.key(resource)
            story.tell("granted", at=at)
        _log.info("granted %s", name)
        return _sealed(attested, key, at)

    def _releasable(self, name: str, story: Narrative) -> Resource:
        """The registration, if anybody at all may have its key."""
        resource = self._state.resources.find(name)
        if resource is None:
            raise RefusedError("broker.resource-missing", "there is no such resource", where=name)
        story.add(resource_facts(resource))
        if resource.policy is None:
            raise RefusedError("broker.no-policy", "this resource has no policy, so it is released to nobody",
                               where=name, hint="sealroom broker policy set RESOURCE FILE")  # fmt: skip
        self._state.resources.require_above_floor(resource)
        return resource

    def _asker(self, bearer: str | None, session_id: str | None) -> Session:
        """The attested session of whoever asks; a token that is shown is the one that counts."""
        sessions = self._state.sessions
        if bearer is not None:
            session = sessions.find_by_token(self._signer.check(bearer, now=self._now()))
            if session is None:
                raise UnverifiedError("broker.token", "the token's session is over", hint="attest anew")
        else:
            session = sessions.find(session_id) if session_id else None
        session = self._live(session)
        if session.state != "attested":
            raise UnverifiedError(
                "broker.no-session", "this session is not attested", hint="POST /attest comes first"
            )
        return session

    def _live(self, session: Session | None) -> Session:
        if session is None:
            raise UnverifiedError("broker.no-session", "there is no session", hint="begin at /auth, keep its cookie")
        if self._now() >= session.expires_at:
            raise UnverifiedError("broker.session-expired", "the session is over", hint="begin at /auth")
        return session

    def _every_root(self) -> TrustRoots:
        """Every root and key that some policy names; what it is good for, each policy decides."""
        named = [roots for text in self._state.resources.policies() if (roots := _trusted_by(text)) is not None]
        return TrustRoots(
            insecure_simulated=frozenset().union(*(roots.insecure_simulated for roots in named)),
            token_signers=frozenset().union(*(roots.token_signers for roots in named)),
            device_keys=frozenset().union(*(roots.device_keys for roots in named)),
        )

    def _now(self) -> int:
        return int(self._clock().timestamp())


def _sealed(attested: AttestedKey, key: bytes, at: datetime) -> bytes:
    jwk = parse_object(attested.key_for(KeyPurpose.KEY_RELEASE, at), what="the attested key")
    return seal_jwe(parse_tee_key(jwk), key)


def _trusted_by(text: str) -> TrustRoots | None:
    """None of a policy that does not load: it releases nothing, and must not stop the others."""
    try:
        return _policy(text).trust_roots
    except SealroomError as error:
        _log.warning("a registered policy does not load: %s", error.code)
        return None


@lru_cache(maxsize=256)
def _policy(text: str) -> Policy:
    return load_policy(text, source="registered policy")
