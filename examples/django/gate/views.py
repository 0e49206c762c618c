"""A page to look at, and one for each thing that tends to break behind a proxy."""

import hashlib
import math
import os
import time

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

CHUNK = 64 * 1024
LONGEST_WAIT = 600.0
MOST_BYTES = 1024**3


def client_address(request):
    """The address of the client. The gate sets the field and drops the client's own, so it can be believed."""
    return request.META.get("HTTP_X_REAL_IP") or request.META.get("REMOTE_ADDR") or "unknown"


def home(request):
    context = {"scheme": request.scheme, "host": request.get_host(), "client": client_address(request)}
    return render(request, "gate/home.html", context)


@login_required
def account(request):
    return render(request, "gate/account.html", {"client": client_address(request)})


@csrf_exempt
@require_http_methods(["GET", "POST", "PUT"])
def upload(request):
    """SHA-256 and length of a form's `file`, or of the raw body, which is read as it comes in."""
    if request.method == "GET":
        return render(request, "gate/upload.html")
    digest = hashlib.sha256()
    length = 0
    if request.content_type == "multipart/form-data":
        uploaded = request.FILES.get("file")
        if uploaded is None:
            return HttpResponseBadRequest("the form has no file\n", content_type="text/plain")
        parts = uploaded.chunks(CHUNK)
    else:
        # Django reads as much as Content-Length says, and a chunked request has none; Gunicorn ends its stream.
        chunked = "CONTENT_LENGTH" not in request.META and request.META.get("wsgi.input_terminated")
        body = request.META["wsgi.input"] if chunked else request
        parts = iter(lambda: body.read(CHUNK), b"")
    for part in parts:
        digest.update(part)
        length += len(part)
    return JsonResponse({"sha256": digest.hexdigest(), "length": length})


def stream(request):
    """`chunks` lines, `delay` seconds between them: a proxy that buffers shows them all at once."""
    chunks = _number(request, "chunks", 5, 10_000)
    delay = _number(request, "delay", 0.5, LONGEST_WAIT)

    def lines():
        for index in range(int(chunks)):
            if index > 0:
                time.sleep(delay)
            yield f"chunk {index + 1} of {int(chunks)}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain; charset=utf-8")


def slow(request):
    """Answers after `seconds`."""
    seconds = _number(request, "seconds", 5, LONGEST_WAIT)
    time.sleep(seconds)
    return HttpResponse(f"answered after {seconds:g} seconds\n", content_type="text/plain; charset=utf-8")


@csrf_exempt
def whoami(request):
    """The request as Django sees it."""
    return JsonResponse(
        {
            "method": request.method,
            "path": request.get_full_path(),
            "scheme": request.scheme,
            "is_secure": request.is_secure(),
            "get_host": request.get_host(),
            "absolute_uri": request.build_absolute_uri(),
            "client_address": client_address(request),
            "remote_addr": request.META.get("REMOTE_ADDR", ""),
            "user": request.user.get_username(),
            "pid": os.getpid(),
            "meta": {name: value for name, value in sorted(request.META.items()) if name.startswith("HTTP_")},
        }
    )


def some_bytes(request, count):
    """`count` bytes, the same ones every time: the alphabet, over and over."""
    if count > MOST_BYTES:
        return HttpResponseBadRequest("at most 1 GiB\n", content_type="text/plain")
    pattern = b"abcdefghijklmnopqrstuvwxyz" * 10_000

    def parts():
        remaining = count
        while remaining > 0:
            part = pattern[:remaining]
            yield part
            remaining -= len(part)

    if count <= CHUNK:
        response = HttpResponse(b"".join(parts()), content_type="application/octet-stream")
    else:
        response = StreamingHttpResponse(parts(), content_type="application/octet-stream")
    response["Content-Length"] = str(count)
    return response


def broken(request):
    """Promises 1000 bytes, sends 100, and breaks off; with `exit` the whole worker goes."""

    def parts():
        yield b"x" * 100
        # Long enough for the hundred bytes to have left, so that the break comes in the middle of a body.
        time.sleep(0.2)
        if "exit" in request.GET:
            os._exit(1)
        raise RuntimeError("broken on purpose")

    response = StreamingHttpResponse(parts(), content_type="text/plain")
    response["Content-Length"] = "1000"
    return response


def _number(request, name, default, limit):
    try:
        value = float(request.GET.get(name, default))
    except ValueError:
        return float(default)
    # NaN compares false with everything, so it would slip through both bounds.
    return float(default) if math.isnan(value) else min(max(value, 0.0), limit)
