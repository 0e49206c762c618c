"""An ASGI app in one file, for the tests: run as asgi_app:app by Uvicorn, alone or under Gunicorn."""
import asyncio


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        return await websocket(scope, receive, send)
    await http(scope, receive, send)


async def websocket(scope, receive, send):
    """Echoes; "big N" is answered with N bytes, "close" with a close; /deny/ is refused."""
    await receive()
    if scope["path"] == "/deny/":
        return await send({"type": "websocket.close"})
    headers = [(b"x-app", b"uvicorn")]
    await send({"type": "websocket.accept", "headers": headers, "subprotocol": (scope["subprotocols"] or [None])[0]})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        elif text == "close":
            return await send({"type": "websocket.close", "code": 4000})
        elif text.startswith("big "):
            await send({"type": "websocket.send", "bytes": b"x" * int(text[4:])})
        else:
            await send({"type": "websocket.send", "text": text})


async def http(scope, receive, send):
    if scope["path"] == "/events/":
        await send(start(b"text/event-stream"))
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
            await asyncio.sleep(1.5 if number == 1 else 0.05)
        return await send({"type": "http.response.body", "body": b""})
    await send(start(b"text/plain"))
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def start(content_type):
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]}
