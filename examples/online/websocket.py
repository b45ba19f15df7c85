"""websocket.py: the server's side of a WebSocket (RFC 6455), as far as gateway.py needs it.

Messages are single frames, as all deployed clients and gateways send them.
"""

import base64
import hashlib
import struct
import time

MAX_FROM_CLIENT = 6_144  # octets of a frame, as the deployed gateway has it
PING_EVERY = 5  # seconds, RS-016
LOOK_EVERY = 0.2  # seconds after which `receive` returns without a message

BINARY, TEXT, CLOSE, PING, PONG = 2, 1, 8, 9, 10


class Closed(Exception):
    """The connection is over."""


def accept_key(key):
    """The answer to Sec-WebSocket-Key (§4.2.2)."""
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    return base64.b64encode(digest).decode()


class WebSocket:
    """A connection after the handshake."""

    def __init__(self, connection):
        self.socket = connection
        self.octets = b""
        self.pinged = time.monotonic()

    def wait(self):
        """The next message."""
        while True:
            message = self.receive()
            if message is not None:
                return message

    def receive(self):
        """The next message, or None if there is none now. Pings when it is time."""
        if time.monotonic() - self.pinged > PING_EVERY:
            self.pinged = time.monotonic()
            self.send(PING, b"")
        try:
            opcode, payload = self.frame()
        except TimeoutError:
            return None
        if opcode == CLOSE:
            self.send(CLOSE, payload)
            raise Closed
        if opcode == PING:
            self.send(PONG, payload)
        return payload if opcode in (BINARY, TEXT) else None

    def frame(self):
        """A frame from the client; TimeoutError if none is complete yet, and what has come is kept."""
        self.need(2)
        length, start = self.octets[1] & 0x7F, 2
        if length == 126:
            self.need(4)
            length, start = int.from_bytes(self.octets[2:4], "big"), 4
        # All frames are final and masked; 127 would say that it is longer than 65 535 octets.
        if length > MAX_FROM_CLIENT or self.octets[0] & 0xF0 != 0x80 or not self.octets[1] & 0x80:
            self.close(1009 if length > MAX_FROM_CLIENT else 1002, "")
        self.need(start + 4 + length)
        mask, masked = self.octets[start : start + 4], self.octets[start + 4 : start + 4 + length]
        opcode, self.octets = self.octets[0] & 0x0F, self.octets[start + 4 + length :]
        return opcode, bytes(octet ^ mask[at % 4] for at, octet in enumerate(masked))

    def need(self, count):
        """Reads until so many octets are there."""
        self.socket.settimeout(LOOK_EVERY)
        while len(self.octets) < count:
            more = self.socket.recv(65_536)
            if not more:
                raise Closed
            self.octets += more

    def send(self, opcode, payload):
        """Sends a frame: servers do not mask."""
        length = len(payload)
        if length < 126:
            header = bytes([0x80 | opcode, length])
        elif length < 65_536:
            header = bytes([0x80 | opcode, 126]) + struct.pack(">H", length)
        else:
            header = bytes([0x80 | opcode, 127]) + struct.pack(">Q", length)
        self.socket.settimeout(30)
        self.socket.sendall(header + payload)

    def close(self, code, reason):
        """Says why it is over, and waits a little for the client to say so, too."""
        self.send(CLOSE, struct.pack(">H", code) + reason.encode())
        self.socket.settimeout(2)
        while self.socket.recv(65_536):
            pass
        raise Closed
