"""The route of the files that pages load."""

from __future__ import annotations

from starlette import requests, responses, routing

from estampe.web import assets


def route(files: assets.Assets) -> routing.Route:
    """Open to everybody: they are the same for all."""

    async def serve(request: requests.Request) -> responses.Response:
        found = files.files.get(request.path_params["name"])
        if found is None:
            return responses.PlainTextResponse("no such file", status_code=404)
        # Of an older version a page gets what is there now, and keeps it only as long as it is open.
        is_current = request.path_params["digest"] == files.digest
        kept = "public, max-age=31536000, immutable" if is_current else "no-store"
        return responses.Response(found.content, media_type=found.media_type, headers={"Cache-Control": kept})

    return routing.Route(f"{assets.PREFIX}/{{digest}}/{{name:path}}", serve)
