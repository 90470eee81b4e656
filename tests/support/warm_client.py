"""What a shell calls in place of a program (see warm.py). It imports next to nothing, so that it starts at once."""

import _socket
import os
import sys
from signal import SIG_DFL, SIGHUP, SIGINT, SIGKILL, SIGTERM, signal


def main(name: str, address: str) -> None:
    words = [name.encode(), os.fsencode(os.getcwd()), b"%d" % len(sys.argv[1:]), *map(os.fsencode, sys.argv[1:])]  # noqa: PTH109 - pathlib takes long
    words += [variable + b"=" + value for variable, value in os.environb.items()]
    request = b"\0".join(words)
    came: list[int] = []  # signals, before it is known whom they are for
    for number in (SIGTERM, SIGINT, SIGHUP):
        signal(number, lambda number, _: came.append(number))
    server = _socket.socket(_socket.AF_UNIX)
    server.connect(address)
    files = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
    server.sendmsg([b"%d\n" % len(request)], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    sent = 0
    while sent < len(request):
        sent += server.send(request[sent:])
    said = server.recv(64)
    program, _, said = said.partition(b"\n")
    for number in (SIGTERM, SIGINT, SIGHUP):
        signal(number, lambda number, _: os.kill(int(program), number))
    for early in came:
        os.kill(int(program), early)
    while not said.endswith(b"\n"):
        more = server.recv(64)
        assert more, "the process that serves has ended"
        said += more
    code = int(said)
    if code < 0:  # a signal ended it
        if -code != SIGKILL:
            signal(-code, SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
