#!/usr/bin/env python3
"""resolver.py: a resolver on loopback that knows one gateway, for online.sh (RFC 8484, RFC 1035, RFC 2782).

It prints its port. Every service of the gateway's address is at the same server; AD says that an answer is validated,
since this resolver made it up itself.
"""

import argparse
import http.server
import socket
import ssl
import struct

A, SRV = 1, 33
MEDIA_TYPE = "application/dns-message"
SERVICES = ("_awala-gsc", "_awala-pdc", "_awala-crc")


def answer(query, address, host, port):
    """The answer to a query with one question."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii").lower())
        at += 1 + query[at]
    question = query[12 : at + 5]
    (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
    name = ".".join(labels)
    target = b"".join(bytes([len(it)]) + it.encode() for it in host.split(".")) + b"\0"
    is_service = name in [f"{service}._tcp.{address}" for service in SERVICES]
    if kind == SRV and is_service:
        data = struct.pack(">HHH", 0, 5, port) + target
    elif kind == A and name == host:
        data = socket.inet_aton("127.0.0.1")
    else:
        data = None
    flags = 0x81A0 | (0 if is_service or name == host else 3)  # response, RD, RA, AD; 3 is "no such name"
    header = query[:2] + struct.pack(">HHHHH", flags, 1, 1 if data else 0, 0, 0)
    # 0xc00c: the name of the question. Class IN, to be kept for 60 s.
    record = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data if data else b""
    return header + question + record


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers queries over HTTPS."""

    protocol_version = "HTTP/1.1"
    options = None

    def do_POST(self):  # pylint: disable=invalid-name
        """A query in, and its answer out."""
        query = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        options = self.options
        try:
            body = answer(query, options.address, options.host, options.port)
            self.send_response(200)
        except (IndexError, struct.error, UnicodeDecodeError):
            body = b""
            self.send_response(400)
        self.send_header("Content-Type", MEDIA_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        """Says nothing of each query."""


def main():
    """Reads the arguments, listens, and serves."""
    parser = argparse.ArgumentParser(description="A resolver on loopback that knows one gateway.")
    parser.add_argument("--address", required=True, help="the Internet address of the gateway")
    parser.add_argument("--host", required=True, help="the name of its server, which is on this machine")
    parser.add_argument("--port", type=int, required=True, help="the port of its server")
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    Handler.options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Handler.options.certificate, Handler.options.key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
