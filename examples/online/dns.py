"""dns.py: the answers of a resolver that knows one gateway, itself (RFC 1035 §4, RFC 2782)."""

import socket
import struct

A, SRV = 1, 33


def answer(query, address, port):
    """The answer to a query with one question. AD says that it is validated, since this resolver made it up itself."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii").lower())
        at += 1 + query[at]
    question = query[12 : at + 5]
    (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
    name, host = ".".join(labels), "poweb." + address
    target = b"".join(bytes([len(it)]) + it.encode() for it in host.split(".")) + b"\0"
    exists = name in (f"_awala-gsc._tcp.{address}", host)
    if kind == SRV and exists and name != host:
        data = struct.pack(">HHH", 0, 0, port) + target
    elif kind == A and name == host:
        data = socket.inet_aton("127.0.0.1")
    else:
        data = None
    flags = 0x81A0 | (0 if exists else 3)  # response, RD, RA, AD; 3 is "no such name"
    header = query[:2] + struct.pack(">HHHHH", flags, 1, 1 if data else 0, 0, 0)
    # 0xc00c: the name of the question. Class IN, to be kept for 60 s.
    record = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data if data else b""
    return header + question + record
