"""Images and libraries of a registry: index, manifest, config and layers byte-identical to upstream's. Images come
anonymously.

Distribution specification 1.1; token authentication as in https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from bundler.collect.manifests import MAX_DOCUMENT_BYTES
from bundler.collect.mirrors import Mirror
from bundler.collect.reference import DEFAULT_HOST, Reference
from bundler.edges.credentials import Pair, basic_authorization
from bundler.edges.http import HttpClient, Response, UnreachedError, is_loopback, require_allowed
from bundler.errors import SourceError
from bundler.model.oci import DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor, Digest

_ACCEPT = ", ".join((INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_DEFAULT_SERVER = f"registry-1.{DEFAULT_HOST}"
MAX_TOKEN_BYTES = 1 << 20
TOKEN_LIFE_S = 45.0  # a token is good for at least 60 s


@dataclass(frozen=True, slots=True)
class Found:
    """The document a reference names: its descriptor, over the bytes as received."""

    descriptor: Descriptor
    data: bytes


class Repository:
    """One repository of a registry, or of the `mirror` that is asked in its place. A `sources.Blobs`: documents and
    layers by descriptor. `kind` is what messages call it; `login` a user and password."""

    def __init__(
        self,
        http: HttpClient,
        reference: Reference,
        mirror: Mirror | None = None,
        *,
        kind: str = "image",
        login: Pair | None = None,
    ) -> None:
        self._http = http
        self._kind = kind
        self._login = {} if login is None else {"Authorization": basic_authorization(login)}
        self._reference = reference
        self._asked = reference if mirror is None else mirror.of(reference)
        host = server(self._asked.host)
        scheme = "http" if is_loopback(urlsplit(f"//{host}").hostname or "") else "https"
        self._base = f"{scheme}://{host}/v2/{self._asked.path}"
        self._authorization: dict[str, str] = {}
        self._authorized_at = 0.0
        self._challenge: Response | None = None

    @property
    def what(self) -> str:
        mirrored = f" (mirrored as {self._asked})" if self._asked != self._reference else ""
        return f"{self._kind} {self._reference}{mirrored}"

    def find(self) -> Found:
        """The index or manifest behind the reference. A digest in the reference must be that of the bytes."""
        reference = self._reference
        name = reference.digest.text if reference.digest else (reference.tag or "latest")
        found = _found(self._get(f"manifests/{name}", MAX_DOCUMENT_BYTES))
        if reference.digest is not None and found.descriptor.digest != reference.digest:
            raise SourceError(f"{self.what}: the registry sent {found.descriptor.digest} instead")
        return found

    def tagged(self, tag: str) -> Found | None:
        """What another tag of the repository names; None where there is no such tag."""
        answer = self._ask(f"manifests/{tag}", MAX_DOCUMENT_BYTES)
        return None if answer.status in (401, 403, 404) else _found(self._good(answer, f"manifests/{tag}"))

    def referrers(self, subject: Digest) -> bytes | None:
        """The index of the manifests that speak of another: the registry's own, its first page; or where it has none
        the one that clients keep under a tag ("Referrers Tag Schema")."""
        answer = self._ask(f"referrers/{subject}", MAX_DOCUMENT_BYTES)
        if answer.status == 200:
            return answer.body
        kept = self.tagged(referrers_tag(subject))
        return None if kept is None else kept.data

    def document(self, wanted: Descriptor) -> bytes:
        """A manifest (asked for by its media type) or config, checked."""
        manifest = wanted.media_type in (INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST)
        if wanted.size_bytes > MAX_DOCUMENT_BYTES:
            raise SourceError(
                f"{self.what}: a document of {wanted.size_bytes:,} bytes; the limit is {MAX_DOCUMENT_BYTES:,}"
            )
        data = self._get(f"{'manifests' if manifest else 'blobs'}/{wanted.digest}", wanted.size_bytes).body
        if Digest.of(data) != wanted.digest or len(data) != wanted.size_bytes:
            raise SourceError(f"{self.what}: the registry's bytes for {wanted.digest} are others")
        return data

    def layer(self, wanted: Descriptor) -> Iterator[bytes]:
        """A layer as it is; whoever stores it checks the digest."""
        url = f"{self._base}/blobs/{wanted.digest}"
        with self._named():
            yield from self._http.download(url, headers=self._fresh_headers, size_bytes=wanted.size_bytes)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors say which image they are about."""
        try:
            yield
        except SourceError as error:
            if error.what.startswith(self.what):
                raise
            unreached = isinstance(error, UnreachedError) and self._kind == "image"
            hint = self._elsewhere if unreached else error.hint
            raise SourceError(f"{self.what}: {error.what}", hint=hint) from error

    @property
    def _elsewhere(self) -> str:
        """The ways to an image that need no answer from where it was asked for."""
        mirrored = self._asked != self._reference
        ways = [
            f"--mirror {self._reference.host}=HOST/PATH, {'another' if mirrored else 'a'} copy of the registry",
            "oci:./DIR or docker-archive:./FILE in place of the name, an image on disk",
        ]
        if not mirrored:  # where there is a mirror, the engine is not asked
            ways.append("docker load, which brings it into the local engine")
        return f"is the machine online? else: {'; '.join(ways)}"

    def _fresh_headers(self) -> dict[str, str]:
        """For a download, which cannot negotiate: tokens live a minute or more, weights may take longer."""
        if self._challenge is not None and time.monotonic() - self._authorized_at > TOKEN_LIFE_S:
            self._authorize(self._challenge)
        return self._authorization

    def _get(self, path: str, limit_bytes: int) -> Response:
        return self._good(self._ask(path, limit_bytes), path)

    def _ask(self, path: str, limit_bytes: int) -> Response:
        url = f"{self._base}/{path}"
        for attempt in (1, 2):
            headers = {"Accept": _ACCEPT, **self._authorization}
            with self._named():
                answer = self._http.get(url, headers=headers, limit_bytes=max(limit_bytes, 1 << 16))
            if answer.status == 401 and attempt == 1:
                self._authorize(answer)
                continue
            break
        return answer

    def _good(self, answer: Response, path: str) -> Response:
        if answer.status == 200:
            return answer
        if answer.status in (401, 403, 404):
            if self._asked != self._reference:
                hint = f"put it into the mirror, or build without --mirror {self._reference.host}=…"
            elif self._kind == "image":
                hint = "check the name; private images: pull them into the local engine first"
            else:
                hint = f"check the name; where it is private: docker login {server(self._asked.host)}"
            raise SourceError(
                f"{self.what}: not there, or not for everyone (the registry answers {answer.status})", hint=hint
            )
        raise SourceError(f"{self.what}: the registry answers {answer.status} for {path}")

    def _authorize(self, refused: Response) -> None:
        """A token for pulling, from the place that the registry names; or the credentials themselves."""
        scheme, _, rest = refused.headers.get("www-authenticate", "").partition(" ")
        if scheme.lower() == "basic":
            self._authorization = self._login
        if scheme.lower() != "bearer":
            return
        parameters = dict(_PARAMETER.findall(rest))
        realm = parameters.get("realm", "")
        require_allowed(realm, self._base)
        query = {"scope": f"repository:{self._asked.path}:pull"}
        if "service" in parameters:
            query["service"] = parameters["service"]
        joined = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query)}"
        with self._named():
            answer = self._http.get(joined, headers=self._login, limit_bytes=MAX_TOKEN_BYTES)
        if answer.status != 200:
            return
        try:
            body = json.loads(answer.body)
            token = body.get("token") or body.get("access_token")
        except (ValueError, AttributeError, RecursionError) as error:
            raise SourceError(f"{self.what}: the registry's token server does not answer with a token") from error
        if isinstance(token, str) and token.isascii() and token.isprintable():
            self._authorization = {"Authorization": f"Bearer {token}"}
            self._authorized_at, self._challenge = time.monotonic(), refused


def server(host: str) -> str:
    """HOST[:PORT] that answers for the host of a reference."""
    return _DEFAULT_SERVER if host == DEFAULT_HOST else host


def referrers_tag(subject: Digest) -> str:
    return subject.text.replace(":", "-")


def _found(answer: Response) -> Found:
    media_type = answer.headers.get("content-type", "").split(";")[0].strip()
    return Found(Descriptor(media_type, Digest.of(answer.body), len(answer.body)), answer.body)
