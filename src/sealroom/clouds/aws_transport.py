"""The question to KMS over HTTPS, signed: botocore, which is imported when there is something to ask.

Credentials come from where botocore looks for them (environment, ``~/.aws``, the instance's role). They open nothing
by themselves under a policy that asks for attestation, so it does no harm that the parent instance hands them in.
From an enclave the way leads through a proxy on vsock: it carries TLS, and the certificate is checked here.
"""

import importlib
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import certifi

from sealroom.clouds.aws import KmsKey
from sealroom.errors import MalformedError, MisuseError, RefusedError, SealroomError, UnavailableError

__all__ = ["KmsTransport"]

_log = logging.getLogger("sealroom.clouds")
_OPERATIONS = {"Decrypt": "decrypt", "GenerateDataKey": "generate_data_key"}
_CONNECTED_WITHIN, _ANSWERED_WITHIN = 10, 30
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_LATER = frozenset(
    {
        "DependencyTimeoutException", "InternalFailure", "KMSInternalException", "KeyUnavailableException",
        "LimitExceededException", "RequestLimitExceeded", "ServiceUnavailable", "ServiceUnavailableException",
        "Throttling", "ThrottlingException", "TooManyRequestsException",
    }
)  # fmt: skip
_CALLER = frozenset(
    {
        "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId", "InvalidSignatureException",
        "MissingAuthenticationToken", "MissingAuthenticationTokenException", "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)  # fmt: skip
_UNPARSED = (AttributeError, LookupError, TypeError, ValueError)
"""What botocore's parser lets through where an answer is of another shape than KMS gives it."""
_HINTS = {
    "AccessDeniedException": "the key's policy does not accept this machine's PCRs, or these credentials; "
    "`sealroom inspect` of a document shows its PCRs",
    "InvalidCiphertextException": "it was encrypted under another key or another encryption context",
    "IncorrectKeyException": "it was encrypted under another key",
}


class KmsTransport:
    """The way to the KMS of a key's region: a `Kms`. Blocks; each question is asked once, and asking again is the
    caller's to decide.

    Args:
        key: whose region it is.
        endpoint: in place of the region's own: ``https://HOST:PORT``; ``http`` on loopback alone.
    """

    def __init__(self, key: KmsKey, *, endpoint: str | None = None) -> None:
        self._key = key
        self._endpoint = _checked(endpoint)

    def ask(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The reply's members.

        Raises:
            UnavailableError: ``aws.kms-unreachable``, ``aws.kms-unavailable``.
            RefusedError: ``aws.kms-refused``; ``aws.kms-credentials``.
            MalformedError: ``aws.reply``: no reply of KMS.
            MisuseError: ``aws.no-credentials``, ``aws.endpoint``, ``aws.botocore``.
        """
        exceptions = _botocore("exceptions")
        try:
            reply: Mapping[str, Any] = getattr(self._client(), _OPERATIONS[operation])(**parameters)
        except exceptions.ClientError as error:
            raise self._refusal(error.response) from None
        except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
            raise UnavailableError("aws.kms-unreachable", "KMS does not answer", where=self._where,
                                   got=type(error).__name__,
                                   hint="from an enclave: does the proxy on vsock run?") from None  # fmt: skip
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError,
                exceptions.CredentialRetrievalError) as error:  # fmt: skip
            raise MisuseError("aws.no-credentials", "there are no credentials to ask KMS with",
                              got=type(error).__name__, expected="AWS_ACCESS_KEY_ID and the like, or a role",
                              ) from None  # fmt: skip
        except exceptions.BotoCoreError as error:
            raise MisuseError("aws.botocore", "KMS can not be asked so", where=self._where,
                              got=type(error).__name__) from None  # fmt: skip
        except (_botocore("parsers").ResponseParserError, *_UNPARSED) as error:
            raise MalformedError("aws.reply", "the reply is none of KMS", where=self._where,
                                 got=type(error).__name__) from None  # fmt: skip
        _log.debug("KMS answered %s", operation)
        return reply

    @property
    def _where(self) -> str:
        return self._endpoint or f"KMS in {self._key.region}"

    def _client(self) -> Any:
        config = _botocore("config").Config(
            connect_timeout=_CONNECTED_WITHIN, read_timeout=_ANSWERED_WITHIN, retries={"total_max_attempts": 1},
            proxies={}, ignore_configured_endpoint_urls=True,
        )  # fmt: skip
        logging.getLogger("botocore").setLevel(logging.WARNING)  # below it, it tells of credentials and bodies
        session = _botocore("session").Session()
        return session.create_client("kms", region_name=self._key.region, endpoint_url=self._endpoint, config=config,
                                     verify=certifi.where())  # fmt: skip

    def _refusal(self, response: Mapping[str, Any]) -> SealroomError:
        """KMS says no. Its code is told; its message can name other people's roles, and is not."""
        code = str(response.get("Error", {}).get("Code", ""))[:80]
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        got = ascii(f"{status} {code}")[1:-1]
        if status >= 500 or code in _LATER:
            return UnavailableError("aws.kms-unavailable", "KMS can not answer now", where=self._where, got=got)
        if code in _CALLER:
            return RefusedError("aws.kms-credentials", "KMS does not accept the credentials", where=self._where,
                                got=got, hint="they may have run out: hand in new ones")  # fmt: skip
        return RefusedError("aws.kms-refused", "KMS refuses the key", where=self._where, got=got,
                            hint=_HINTS.get(code))  # fmt: skip


def _checked(endpoint: str | None) -> str | None:
    if endpoint is None:
        return None
    try:
        url = urlsplit(endpoint)
        host, port = url.hostname, url.port
    except ValueError:
        host, port, url = None, None, urlsplit("")
    plain = url.scheme == "http" and host in _LOOPBACK
    whole = not url.path.strip("/") and not url.query and not url.fragment and "@" not in url.netloc
    if not host or port == 0 or not whole or not (plain or url.scheme == "https"):
        raise MisuseError("aws.endpoint", "this is no address of KMS", got=ascii(endpoint.rpartition("@")[2][:200]),
                          expected="https://HOST:PORT, or http on a loopback address")  # fmt: skip
    return endpoint


def _botocore(module: str) -> Any:
    try:
        return importlib.import_module(f"botocore.{module}")
    except ImportError:
        raise MisuseError("aws.botocore", "asking AWS KMS needs the library botocore", expected="sealroom[aws]",
                          hint='install it: pip install "sealroom[aws]"') from None  # fmt: skip
