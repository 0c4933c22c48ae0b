"""The typed clients of the API."""

import sys
from typing import Any, cast

# httpx 0.28 imports its own command line (click, rich, pygments) whenever click is there: 0.2 s of each of our
# commands. With the name taken it falls back as it does where click is missing. To go when httpx imports it lazily
# (https://github.com/encode/httpx/blob/0.28.1/httpx/__init__.py).
cast("dict[str, Any]", sys.modules).setdefault("httpx._main", None)  # importlib: None is "cannot be imported"
