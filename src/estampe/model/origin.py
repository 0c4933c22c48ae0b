"""Where a browser says that a request comes from: pages of other sites make requests as well, and cookies go along with them."""

from __future__ import annotations

from typing import Final

from estampe import errors

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, section 9.2.1


def check(*, site: str | None, origin: str | None, own: str) -> None:
    """`site` is what Sec-Fetch-Site says, `origin` what Origin does, `own` our own origin. Raises: errors.CrossSiteRefused."""
    if site is not None and site not in {"same-origin", "none"}:
        raise errors.CrossSiteRefused(problem="the browser says that a page of another origin has made it")
    if origin is not None and origin != own:
        raise errors.CrossSiteRefused(problem="its Origin is not where this API is; is `public_url` set right?")
