"""Images and libraries into a registry: what it lacks, as one request each (distribution specification 1.1, "Push").

Credentials are those of the Docker configuration (DOCKER_CONFIG, ~/.docker/config.json), its helpers too. Plain HTTP is
spoken to this machine only. Every error is a TargetError, whatever a registry answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from bundler.edges.credentials import basic_authorization, credentials
from bundler.edges.http import is_loopback, require_allowed
from bundler.edges.network import failure
from bundler.errors import SourceError, TargetError
from bundler.model.oci import INDEX, MANIFEST, Descriptor

if TYPE_CHECKING:
    import httpx

IDLE_S = 60.0
CONNECT_S = 10.0
ANSWER_S = 900.0  # to a blob that was sent whole: a registry may read all of it once more before it answers
_MOUNTED = ""  # in place of where to send a blob
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Registry:
    """A registry by its HOST[:PORT]."""

    def __init__(self, host: str, *, idle_s: float = IDLE_S) -> None:
        import httpx

        self._host = host
        scheme = "http" if is_loopback(urlsplit(f"//{host}").hostname or "") else "https"
        self._base = f"{scheme}://{host}/v2/"
        self._authorization: dict[str, str] = {}
        connect_s = min(idle_s, CONNECT_S)
        timeout = httpx.Timeout(idle_s, connect=connect_s)
        self._sending = httpx.Timeout(idle_s, connect=connect_s, read=ANSWER_S)
        self._client = httpx.Client(follow_redirects=False, timeout=timeout, headers={"User-Agent": "graphbundle"})

    def greet(self, repository: str) -> None:
        """Raises TargetError where it is no registry, or has no login for who would push there ("Determining
        Support")."""
        self._check(self._send("GET", "", repository), "asking for /v2/", (200,))

    def has(self, repository: str, blob: Descriptor, *, manifest: bool = False) -> bool:
        path = f"{repository}/{'manifests' if manifest else 'blobs'}/{blob.digest}"
        answer = self._send("HEAD", path, repository, headers={"Accept": blob.media_type} if manifest else {})
        if answer.status_code in (404, 405):
            return False
        self._check(answer, f"looking for {blob.digest} in {repository}", (200, 307))
        return True

    def put_blob(
        self, repository: str, blob: Descriptor, pieces: Iterable[bytes], *, source: str | None = None
    ) -> None:
        """Taken over from the repository `source`, where the registry does that ("Mounting a blob from another
        repository"); sent where it does not. The digest is checked by the registry, and by whoever makes the pieces."""
        doing = f"pushing {blob.digest} to {repository}"
        place = self._mounting(repository, blob, source) if source is not None else None
        if place == _MOUNTED:
            return
        place = place or self._begun(repository, doing)
        parts = urlsplit(place)
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("digest", str(blob.digest))])
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(blob.size_bytes),
            **self._known_at(place),
        }
        with self._errors(doing):
            answer = self._client.put(
                urlunsplit((*parts[:3], query, "")), content=iter(pieces), headers=headers, timeout=self._sending
            )
        self._check(answer, doing, (201,))

    def try_push(self, repository: str) -> None:
        """Begins to push and takes that back. Raises TargetError where a push would be refused."""
        import httpx

        place = self._begun(repository, f"pushing to {repository}")
        with suppress(httpx.HTTPError):  # registries forget by themselves what is not gone on with
            self._client.delete(place, headers=self._known_at(place))

    def _mounting(self, repository: str, blob: Descriptor, source: str) -> str | None:
        """Where the blob is to be sent all the same, where the registry says so. Not being let is no error."""
        query = urlencode({"mount": str(blob.digest), "from": source})
        answer = self._send("POST", f"{repository}/blobs/uploads/?{query}", repository, source=source)
        if answer.status_code == 201:
            return _MOUNTED
        return self._place(answer) if answer.status_code == 202 else None

    def _begun(self, repository: str, doing: str) -> str:
        """Where a blob is to be sent."""
        begun = self._send("POST", f"{repository}/blobs/uploads/", repository)
        self._check(begun, doing, (202,))
        return self._place(begun)

    def _place(self, answer: httpx.Response) -> str:
        """Where the registry says that a blob is to be sent."""
        told = answer.headers.get("location")
        if not told:
            raise TargetError(f"registry {self._host} does not say where a blob is to be sent")
        try:
            place: str = urljoin(str(answer.request.url), told)
        except ValueError as error:
            raise TargetError(f"registry {self._host} says to send a blob to no address: {error}") from error
        self._require_allowed(place)
        return place

    def _require_allowed(self, place: str) -> None:
        try:
            require_allowed(place, self._base)
        except SourceError as error:
            raise TargetError(f"registry {self._host}: {error.what}") from error

    def _known_at(self, place: str) -> dict[str, str]:
        """Our credentials, at the registry itself and nowhere else."""
        same = tuple(urlsplit(place)[:2]) == tuple(urlsplit(self._base)[:2])
        return self._authorization if same else {}

    def manifest(self, repository: str, tag: str) -> bytes | None:
        """What a tag names; None where there is no such tag."""
        answer = self._send(
            "GET", f"{repository}/manifests/{tag}", repository, headers={"Accept": f"{INDEX}, {MANIFEST}"}
        )
        if answer.status_code == 404:
            return None
        self._check(answer, f"looking for {tag} in {repository}", (200,))
        return answer.content

    def put_manifest(self, repository: str, manifest: Descriptor, data: bytes, *, tag: str | None = None) -> bool:
        """Under its digest, or a tag. Whether the registry itself lists it among what speaks of its subject."""
        path = f"{repository}/manifests/{tag or manifest.digest}"
        answer = self._send("PUT", path, repository, headers={"Content-Type": manifest.media_type}, content=data)
        self._check(answer, f"pushing manifest {tag or manifest.digest} to {repository}", (201,))
        return "oci-subject" in answer.headers

    # requests

    def _send(
        self,
        method: str,
        path: str,
        repository: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        source: str | None = None,
    ) -> httpx.Response:
        """`source` is another repository, which is read."""
        with self._errors(f"asking for {repository}"):
            for attempt in (1, 2):
                sent = {**(headers or {}), **self._authorization}
                answer = self._client.request(method, self._base + path, headers=sent, content=content)
                if answer.status_code != 401 or attempt == 2 or not self._authorize(answer, repository, source):
                    break
        return answer

    def _authorize(self, refused: httpx.Response, repository: str, source: str | None) -> bool:
        """A token from where the registry says, or the credentials themselves."""
        scheme, _, rest = refused.headers.get("www-authenticate", "").partition(" ")
        basic = credentials(self._host)
        if scheme.lower() == "basic" and basic is not None:
            self._authorization = {"Authorization": basic_authorization(basic)}
            return True
        if scheme.lower() != "bearer":
            return False
        told = dict(_PARAMETER.findall(rest))
        realm = told.get("realm", "")
        self._require_allowed(realm)
        query = [("scope", f"repository:{repository}:pull,push")]
        query += [("scope", f"repository:{source}:pull")] if source is not None else []
        query += [("service", told["service"])] if "service" in told else []
        headers = {"Authorization": basic_authorization(basic)} if basic is not None else {}
        asked = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query)}"
        answer = self._client.get(asked, headers=headers)
        if answer.status_code != 200:
            return False
        self._authorization = {"Authorization": f"Bearer {self._token(answer)}"}
        return True

    def _token(self, answer: httpx.Response) -> str:
        try:
            body = answer.json()
            token = body.get("token") or body.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if not (isinstance(token, str) and token.isascii() and token.isprintable()):
            raise TargetError(f"registry {self._host}: its token server does not answer with a token")
        return token

    def _check(self, answer: httpx.Response, doing: str, good: tuple[int, ...]) -> None:
        if answer.status_code in good:
            return
        if answer.status_code in (401, 403):
            pair = credentials(self._host)
            no = f"does not let user {pair[0]!r} do this" if pair else "lets nobody do this without a login"
            hint = f"docker login {self._host} as somebody who may, then again"
            raise TargetError(f"{doing}: registry {self._host} {no}", hint=hint)
        said = " ".join(answer.text.split())[:300] if answer.request.method != "HEAD" else ""
        raise TargetError(f"{doing}: registry {self._host} answers {answer.status_code} {said}".rstrip())

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        import httpx

        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TargetError(
                f"{doing}: registry {self._host} cannot be reached: {failure(error)[1]}",
                hint="is it up, and reached from here under this name?",
            ) from error
