"""Errors on their way out: one table from what went wrong to an RFC 9457 problem document."""

from __future__ import annotations

import json
import logging
import secrets
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from typing_extensions import override

from muster.domain.errors import Invalid, MusterError

log = logging.getLogger("muster.api")


class Json(JSONResponse):
    """JSON that survives what is no valid Unicode, as file names may not be."""

    @override
    def render(self, content: Any) -> bytes:
        """The document in ASCII."""
        return json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode()


class Problem(Json):
    """A problem document."""

    media_type = "application/problem+json"


def answer_problems(app: FastAPI) -> None:
    """Give every error of the app the one form."""
    app.add_exception_handler(MusterError, _muster)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unknown)


def _muster(_request: Request, error: Exception) -> Response:
    if not isinstance(error, MusterError):
        raise error
    return Problem(error.problem(), status_code=error.status)


def _validation(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [
        {"field": ".".join(str(p) for p in e["loc"]), "message": e["msg"]} for e in error.errors()
    ]
    malformed = any(e["type"] == "json_invalid" for e in error.errors())
    first = errors[0] if errors else {"field": "body", "message": "not valid"}
    problem = Invalid(
        f"{first['field']}: {first['message']}", hint="/api/openapi.json has every field"
    ).problem()
    problem |= {"errors": errors, "status": 400 if malformed else 422}
    return Problem(problem, status_code=problem["status"])


def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    problem = {
        "type": f"urn:muster:error:http-{error.status_code}",
        "title": str(error.detail),
        "status": error.status_code,
        "detail": str(error.detail),
        "hint": "/api/openapi.json lists every route",
        "code": f"http-{error.status_code}",
    }
    return Problem(problem, status_code=error.status_code, headers=error.headers)


def _unknown(request: Request, error: Exception) -> Response:
    trace_id = secrets.token_hex(8)
    log.error("%s %s failed, trace %s", request.method, request.url.path, trace_id, exc_info=error)
    problem = {
        "type": "urn:muster:error:internal",
        "title": "Something went wrong inside muster",
        "status": 500,
        "detail": "the server met a fault that it did not expect; nothing acknowledged is lost",
        "hint": f"look for trace {trace_id} in the server's log",
        "code": "internal",
        "trace_id": trace_id,
    }
    return Problem(problem, status_code=500)
