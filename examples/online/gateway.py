#!/usr/bin/env python3
"""gateway.py: a small Internet gateway on loopback, for examples/online.sh and for tries of one's own.

It does what private gateways ask of an Internet gateway (RS-016, "PoWeb"): it registers them, takes parcels from
them, and gives them theirs. It also answers for the resolver that finds it (DNS over HTTPS, RFC 8484). Everything about
keys and messages is left to the programs of this package, which must be in PATH, and to openssl.

    gateway.py --node DIR --known DIR --mail DIR [--certificate FILE --key FILE] [--port PORT]

    --node DIR          the gateway's node, made by relay-keygen --type gateway --address ADDRESS
    --known DIR         public keys (relay-export) of the gateways that it registers
    --mail DIR          its mailboxes: a directory for each private gateway, a file for each parcel
    --certificate FILE  the certificate of TLS, PEM, with its key in --key FILE; without them there is no TLS
    --port PORT         the port on 127.0.0.1; 0, which is the default, takes a free one

It writes its port to standard output as soon as it listens, and serves until a signal ends it. It has no limits, no
timers, no durable storage and no way to other gateways: it is not for the Internet.
"""

import argparse
import base64
import hashlib
import http.server
import json
import os
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile
import uuid

sys.dont_write_bytecode = True  # no files beside the examples
# pylint: disable=wrong-import-position
import dns
from websocket import BINARY, Closed, WebSocket, accept_key

MAX_PARCEL = 9_437_184  # octets, RS-000
MAX_REGISTRATION = 65_536

TYPE = "application/vnd.awala."
PROMISE = TYPE + "node-registration.authorization"
REQUEST = TYPE + "node-registration.request"
REGISTRATION = TYPE + "node-registration.registration"
PARCEL = TYPE + "parcel"
DNS_MESSAGE = "application/dns-message"

# What a countersignature is for: 1.3.6.1.4.1.58708.0.3.0 and .1, as the octets of an object identifier.
DELIVERY = bytes.fromhex("2b0601040183ca54000300")
COLLECTION = bytes.fromhex("2b0601040183ca54000301")


class Refused(Exception):
    """The answer to a request that is refused: a status and why."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


# The programs


def program(*command, octets=b"", says=None):
    """Runs a program. Returns its output, or None if it failed; what it says goes to standard error, or to `says`."""
    done = subprocess.run(command, input=octets, stdout=subprocess.PIPE, stderr=says, check=False)
    return done.stdout if done.returncode == 0 else None


def inspect(octets):
    """What relay-inspect says about octets, or None."""
    shown = program("relay-inspect", "--json", octets=octets)
    return json.loads(shown) if shown else None


class Gateway:
    """The gateway: its node, who may register, and the mailboxes."""

    def __init__(self, node, known, mail):
        self.node, self.known, self.mail = node, known, mail
        config = (node / "config").read_text()
        self.address = re.search(r"^address\s*=\s*(\S+)", config, re.MULTILINE).group(1)

    def promise(self, digest):
        """A promise, for 10 s, to register the node whose public key has this SHA-256 (PNRA)."""
        for file in self.known.iterdir():
            shown = inspect(file.read_bytes())
            # A node id is "0" and that digest.
            if shown and shown["node"]["id"] == "0" + digest.lower():
                promise = ("--authorize", "--valid", "10s", "--der")
                return program("relay-register", "-q", "-N", self.node, *promise, file)
        raise Refused(403, "this gateway registers only whom it knows")

    def register(self, request):
        """The registration (PNR) of the node that asks for it with a promise (PNRR)."""
        made = program("relay-register", "-q", "-N", self.node, "--complete", "--der", octets=request)
        if not made:
            raise Refused(400, "not a request for a registration that was promised")
        return made

    def registered(self, certificate):
        """The id of the node that has this certificate from us, or None. The SHA-256 is in hexadecimal."""
        for file in self.node.glob("peers/*/registered/*.pem"):
            body = file.read_text().split("-----")[2]
            if hashlib.sha256(base64.b64decode(body)).hexdigest() == certificate:
                return file.parent.parent.name
        return None

    def countersigner(self, signature, purpose, plaintext):
        """The id of the registered node that countersigned octets for a purpose, or None."""
        content = tlv(0x30, tlv(0x80, purpose) + tlv(0x81, plaintext))
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name)
            (directory / "content").write_bytes(content)
            # -noverify: that the certificate is one of ours is looked up below. The signature is verified.
            verified = program(
                *("openssl", "cms", "-verify", "-noverify", "-binary", "-inform", "DER"),
                *("-content", directory / "content", "-signer", directory / "signer", "-out", "/dev/null"),
                octets=signature,
                says=subprocess.DEVNULL,
            )
            signer = (directory / "signer").read_bytes() if verified is not None else b""
        shown = inspect(signer) if signer else None
        return self.registered(shown["certificates"][0]["sha256"]) if shown else None

    def store(self, parcel):
        """Puts a parcel into the mailbox of the private gateway that leads to its recipient."""
        shown = inspect(parcel)
        if not shown or shown["kind"] != "parcel":
            raise Refused(400, "not a parcel")
        if shown["address"] not in (None, self.address):
            raise Refused(422, "it is for another gateway, and this example knows none")
        # Signature, dates, and that the sender's certificates lead to one of ours.
        if program("relay-verify", "-N", self.node, octets=parcel) is None:
            raise Refused(422, "not a valid parcel")
        # Of the certificates, the one that this gateway issued is the one next to it.
        owners = [self.registered(it["sha256"]) for it in shown["attached"]]
        owner = next((it for it in owners if it), None)
        if not owner:
            raise Refused(422, "its sender is authorized by nobody whom this gateway registered")
        mailbox = self.mailbox(owner)
        # The name is the same if it comes again. A name with a dot is not delivered: see `waiting`.
        name = hashlib.sha256(parcel).hexdigest()
        (mailbox / ("." + name)).write_bytes(parcel)
        (mailbox / ("." + name)).rename(mailbox / name)

    def mailbox(self, node):
        """The directory with the parcels for a private gateway."""
        mailbox = self.mail / node
        mailbox.mkdir(parents=True, exist_ok=True)
        return mailbox

    def waiting(self, node):
        """The files with the parcels for a private gateway, oldest first."""
        files = [file for file in self.mailbox(node).iterdir() if not file.name.startswith(".")]
        return sorted(files, key=lambda file: file.stat().st_mtime_ns)


# DER


def tlv(tag, content):
    """An element: tag, length, content."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def contents(octets, tag):
    """The contents of the elements in `octets`, which must all have this tag."""
    found, at = [], 0
    while at < len(octets):
        length, start = octets[at + 1], at + 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(octets[at + 2 : start], "big")
        if octets[at] != tag or start + length > len(octets):
            raise ValueError("not as it should be")
        found.append(octets[start : start + length])
        at = start + length
    return found


# HTTP


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection, with any number of requests."""

    protocol_version = "HTTP/1.1"
    gateway = None
    port = None
    tls = None

    def setup(self):
        if self.tls:
            # Here and not on accept, so that a slow client stops nobody.
            self.request.settimeout(10)
            self.request = self.tls.wrap_socket(self.request, server_side=True)
        self.request.settimeout(30)
        super().setup()

    def finish(self):
        super().finish()
        self.request.close()

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        line = (format % args).encode("unicode_escape").decode()
        print("gateway:", line, file=sys.stderr, flush=True)

    def answer(self, status, media_type="text/plain", body=b"", **headers):
        """Sends an answer."""
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self, media_type, limit):
        """The body of a request, which must have exactly this type."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > limit:
            self.close_connection = True
            raise Refused(413, "too large")
        body = self.rfile.read(length)
        # Literally, as the deployed gateway does.
        if self.headers.get("Content-Type") != media_type:
            raise Refused(415, "the type must be " + media_type)
        return body

    def do_HEAD(self):  # pylint: disable=invalid-name
        """Private gateways look with HEAD / whether they are online."""
        if self.path == "/":
            self.answer(200, body=b"This is an Internet gateway.\n")
        else:
            self.answer(404)

    def do_GET(self):  # pylint: disable=invalid-name
        """The only resource that is read is a collection, and it is a WebSocket."""
        if self.path.split("?")[0] == "/v1/parcel-collection" and self.headers.get("Sec-WebSocket-Key"):
            self.close_connection = True
            Collection(self).serve()
        else:
            self.do_HEAD()

    def do_POST(self):  # pylint: disable=invalid-name
        """Registration, delivery, and the resolver."""
        actions = {
            "/v1/pre-registrations": self.pre_register,
            "/v1/nodes": self.register,
            "/v1/parcels": self.deliver,
            "/dns-query": self.resolve,
        }
        try:
            action = actions.get(self.path)
            if not action:
                self.close_connection = True
                raise Refused(404, "no such resource")
            action()
        except Refused as refused:
            message = json.dumps({"message": str(refused)}).encode()
            scheme = {"WWW_Authenticate": "Relaynet-Countersignature"} if refused.status == 401 else {}
            self.answer(refused.status, "application/json; charset=utf-8", message, **scheme)

    def pre_register(self):
        """SHA-256 of a node's public key in; the promise to register it out."""
        digest = self.body("text/plain", MAX_REGISTRATION).decode("ascii", "replace")
        if len(digest) != 64:
            raise Refused(400, "not a SHA-256 in hexadecimal")
        self.answer(200, PROMISE, self.gateway.promise(digest))

    def register(self):
        """The request of a node in; its registration out."""
        request = self.body(REQUEST, MAX_REGISTRATION)
        self.answer(200, REGISTRATION, self.gateway.register(request))

    def deliver(self):
        """A parcel in, countersigned by the node that brings it."""
        parcel = self.body(PARCEL, MAX_PARCEL)
        scheme, _, signature = self.headers.get("Authorization", "").partition(" ")
        try:
            signature = base64.b64decode(signature, validate=True)
        except ValueError:
            signature = b""
        by = None
        if scheme == "Relaynet-Countersignature" and signature:
            by = self.gateway.countersigner(signature, DELIVERY, parcel)
        if not by:
            raise Refused(401, "no countersignature of a node that is registered here")
        self.gateway.store(parcel)
        self.answer(202)

    def resolve(self):
        """A DNS message in, and its answer out."""
        query = self.body(DNS_MESSAGE, 65_535)
        self.answer(200, DNS_MESSAGE, dns.answer(query, self.gateway.address, self.port))


# Collection


class Collection:
    """One collection of parcels (RS-016)."""

    def __init__(self, handler):
        self.handler, self.gateway = handler, handler.gateway
        self.socket = WebSocket(handler.connection)

    def serve(self):
        """All of it, from the answer to the request on."""
        accept = accept_key(self.handler.headers["Sec-WebSocket-Key"])
        self.handler.send_response(101)
        self.handler.send_header("Upgrade", "websocket")
        self.handler.send_header("Connection", "Upgrade")
        self.handler.send_header("Sec-WebSocket-Accept", accept)
        self.handler.end_headers()
        try:
            self.deliver()
        except (Closed, OSError):
            pass

    def deliver(self):
        """Challenge and response, then parcels until all are acknowledged, or for ever."""
        nonce = os.urandom(16)
        self.socket.send(BINARY, tlv(0x30, tlv(0x80, nonce)))
        node = self.check(self.socket.wait(), nonce)
        ends = self.handler.headers.get("X-Relaynet-Streaming-Mode") == "close-upon-completion"
        file = delivery = None
        while True:
            # One at a time: the client of desktop gateways loses the second of two that arrive together.
            if not file:
                file = next(iter(self.gateway.waiting(node)), None)
                if file:
                    delivery = str(uuid.uuid4())
                    fields = tlv(0x80, delivery.encode()) + tlv(0x81, file.read_bytes())
                    self.socket.send(BINARY, tlv(0x30, fields))
                elif ends:
                    self.socket.close(1000, "")
            message = self.socket.receive()
            if message is not None:
                if not file or message.decode("ascii", "replace") != delivery:
                    self.socket.close(1003, "Unknown delivery id sent as acknowledgement")
                file.unlink(missing_ok=True)
                file = None

    def check(self, response, nonce):
        """The node that signed the nonce."""
        try:
            (fields,) = contents(response, 0x30)
            (signatures,) = contents(fields, 0xA0)
            (signature,) = contents(signatures, 0x04)
        except (ValueError, IndexError):
            self.socket.close(1003, "Invalid handshake response")
        node = self.gateway.countersigner(signature, COLLECTION, nonce)
        return node or self.socket.close(1003, "Nonce signature is invalid")


class Server(http.server.ThreadingHTTPServer):
    """A thread for each connection; one that fails is a line."""

    def handle_error(self, request, client_address):
        print("gateway: a connection failed:", sys.exc_info()[1], file=sys.stderr, flush=True)


def main():
    """Reads the arguments, listens, and serves."""
    parser = argparse.ArgumentParser(description="A small Internet gateway on loopback.")
    for name in ("--node", "--known", "--mail"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    for name in ("--certificate", "--key"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    Handler.gateway = Gateway(args.node, args.known, args.mail)
    if args.certificate:
        Handler.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        Handler.tls.load_cert_chain(args.certificate, args.key)
    server = Server(("127.0.0.1", args.port), Handler)
    Handler.port = server.server_address[1]
    print(Handler.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
