"""An app that answers before it has read the request's body, and closes with the rest of it unread.

early_app.py unix:PATH|PORT  answers "POST" with 413 and a page of 20000 bytes, or as long as its target says.
"""
import socket
import sys

where = sys.argv[1]
if where.startswith("unix:"):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(where[5:])
else:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(where)))
listener.listen(64)
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    head = connection.recv(1000)
    target = head.split(b" ")[1].decode() if head else "/"
    body = b"early " * 4000
    length = "" if target.startswith("/endless") else f"Content-Length: {len(body)}\r\n"
    connection.sendall(
        f"HTTP/1.1 413 Too Much\r\nContent-Type: text/plain\r\n{length}Connection: close\r\n\r\n".encode() + body
    )
    connection.close()
    print("closed", flush=True)
