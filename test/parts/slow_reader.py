"""A client with small buffers that reads slowly: slow_reader.py PORT BYTES-A-SECOND [STOP-AFTER].

Prints how many bytes it has got when the connection ends, or its server has sent all that it said it would; after
STOP-AFTER bytes it reads no more and waits to be ended.
"""
import re
import socket
import sys
import time

port, rate = int(sys.argv[1]), int(sys.argv[2])
stop_after = int(sys.argv[3]) if len(sys.argv) > 3 else None
client = socket.socket()
# On loopback a segment is 64 KB and the buffers are megabytes: nothing would be slow. These are as on a real line.
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
client.connect(("127.0.0.1", port))
client.sendall(b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
data = b""
length = None
while len(data) != length and (stop_after is None or len(data) < stop_after):
    part = client.recv(rate // 20)
    if not part:
        break
    data += part
    if length is None and b"\r\n\r\n" in data:
        length = data.index(b"\r\n\r\n") + 4 + int(re.search(rb"(?i)content-length: (\d+)", data)[1])
    time.sleep(len(part) / rate)
print(len(data), length, flush=True)
if stop_after is not None:
    sys.stdin.read()
