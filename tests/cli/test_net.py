#!/usr/bin/env python3
"""Networks of the `pacifica` program: options, and what answers inside and outside.
usage: test_net.py PACIFICA [unittest arguments]
PACIFICA_RUNNER in the environment: a command that runs the program (qemu-user for a cross-built one)."""
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

import images

PACIFICA = None  # the program, as the beginning of a command
TIMEOUT_SECONDS = 60
CARD_PORTS, CARD_SLOT = 0xc000, 3
MAC, ANY_MAC = bytes.fromhex("525400123456"), b"\xff" * 6
GUEST, GATEWAY, NAMES = bytes([10, 0, 2, 15]), bytes([10, 0, 2, 2]), bytes([10, 0, 2, 3])
NOBODY, ALL = bytes(4), b"\xff" * 4
# The guest's memory: queues as drivers of before VIRTIO 1.0 have them, and room for frames.
RECEIVE, SEND, IN, OUT = images.LOAD + 0x1000, images.LOAD + 0x4000, images.LOAD + 0x8000, images.LOAD + 0x10000
AVAIL, USED, ROOM, BUFFERS, HEADER = 0x1000, 0x2000, 0x800, 16, 10
END = images.LOAD + 0x20000


# --- a driver in machine code ---

def out16(port, value):
    """mov dx, port; mov ax, value; out dx, ax"""
    return b"\x66\xba" + struct.pack("<H", port) + b"\x66\xb8" + struct.pack("<H", value) + b"\x66\xef"


def out32(port, value):
    """mov dx, port; mov eax, value; out dx, eax"""
    return b"\x66\xba" + struct.pack("<H", port) + b"\xb8" + struct.pack("<I", value) + b"\xef"


def config(register, value):
    return out32(0xcf8, 0x80000000 | CARD_SLOT << 11 | register) + out32(0xcfc, value)


def wait_for(address, value):
    """1: cmp word [address], value; jne 1"""
    return b"\x66\x81\x3d" + struct.pack("<IH", address, value) + b"\x75\xf5"


WAIT = b"\xb9" + struct.pack("<I", 1_000_000) + b"\xe2\xfe"  # mov ecx, ...; 1: loop 1: the program looks outside meanwhile


def put16(address, value):
    """mov word [address], value"""
    return b"\x66\xc7\x05" + struct.pack("<IH", address, value)


def show(address, size):
    """mov esi, address; mov ecx, size; mov dx, 3f8; rep outsb"""
    return b"\xbe" + struct.pack("<I", address) + b"\xb9" + struct.pack("<I", size) + b"\x66\xba\xf8\x03\xf3\x6e"


def driver(steps):
    """An image that sends frames, waits until so many have arrived in all, and shows what arrived on COM1. steps: (frame or
    None, count) each; without a count it waits for some time."""
    code = config(0x10, CARD_PORTS) + config(4, 7) + images.out8(CARD_PORTS + 18, 3) + out32(CARD_PORTS + 4, 0)
    for queue, where in enumerate((RECEIVE, SEND)):
        code += out16(CARD_PORTS + 14, queue) + out32(CARD_PORTS + 8, where >> 12)
    code += images.out8(CARD_PORTS + 18, 7)
    frames = []
    for frame, count in steps:
        if frame is not None:
            frames.append(bytes(HEADER) + frame)
            code += put16(SEND + AVAIL + 2, len(frames)) + out16(CARD_PORTS + 16, 1)
            code += wait_for(SEND + USED + 2, len(frames))
        code += WAIT if count is None else wait_for(RECEIVE + USED + 2, count)
    code += show(RECEIVE + USED, 4 + 8 * BUFFERS) + show(IN, ROOM * BUFFERS) + images.exit_with(0)
    image = bytearray(images.multiboot(code).ljust(END - images.LOAD, b"\0"))
    assert len(code) < 0xf00
    place = lambda address, content: image.__setitem__(
        slice(address - images.LOAD, address - images.LOAD + len(content)), content)
    for i in range(BUFFERS):
        place(RECEIVE + 16 * i, struct.pack("<QIHH", IN + ROOM * i, ROOM, 2, 0))
        place(RECEIVE + AVAIL + 4 + 2 * i, struct.pack("<H", i))
    place(RECEIVE + AVAIL + 2, struct.pack("<H", BUFFERS))
    for i, frame in enumerate(frames):
        place(SEND + 16 * i, struct.pack("<QIHH", OUT + ROOM * i, len(frame), 0, 0))
        place(SEND + AVAIL + 4 + 2 * i, struct.pack("<H", i))
        place(OUT + ROOM * i, frame)
    return bytes(image)


def arrived(shown):
    """The frames behind what driver() shows."""
    count = struct.unpack_from("<H", shown, 2)[0]
    frames = []
    for i in range(count):
        index, size = struct.unpack_from("<II", shown, 4 + 8 * i)
        at = 4 + 8 * BUFFERS + ROOM * index
        frames.append(shown[at + HEADER:at + size])
    return frames


# --- frames ---

def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ethernet(kind, content, to=ANY_MAC):
    return to + MAC + struct.pack(">H", kind) + content


def arp(target, source=GUEST):
    return ethernet(0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + MAC + source + bytes(6) + target)


def ip(protocol, content, to, source=GUEST, fragment=0):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), 1, fragment, 64, protocol, 0) + source + to
    return ethernet(0x0800, head[:10] + struct.pack(">H", checksum(head)) + head[12:] + content)


def udp(to, port, content, source=GUEST, source_port=1000):
    return ip(17, struct.pack(">HHHH", source_port, port, 8 + len(content), 0) + content, to, source)


FIN, SYN, PUSH_ACK, TCP_ACK = 0x01, 0x02, 0x18, 0x10


def tcp(to, port, flags, sequence, acknowledged=0, content=b""):
    body = struct.pack(">HHIIBBHHH", 1000, port, sequence, acknowledged, 0x50, flags, 8192, 0, 0) + content
    pseudo = GUEST + to + struct.pack(">BBH", 0, 6, len(body))
    return ip(6, body[:16] + struct.pack(">H", checksum(pseudo + body)) + body[18:], to)


def echo(to, content=b"ping", **more):
    body = struct.pack(">BBHHH", 8, 0, 0, 7, 1) + content
    return ip(1, body[:2] + struct.pack(">H", checksum(body)) + body[4:], to, **more)


def dhcp(kind, *options):
    body = struct.pack(">BBBBIHH", 1, 1, 6, 0, 0x12345678, 0, 0x8000) + bytes(16) + MAC + bytes(10 + 192)
    body += bytes.fromhex("63825363") + bytes([53, 1, kind]) + b"".join(options) + b"\xff"
    return udp(ALL, 67, body.ljust(300, b"\0"), NOBODY, 68)


def dns(name, number=0x4242):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


DISCOVER, REQUEST, OFFER, ACK = 1, 3, 2, 5
LEASE = [(dhcp(DISCOVER), 1), (dhcp(REQUEST, b"\x32\x04" + GUEST, b"\x36\x04" + GATEWAY), 2)]


def dhcp_options(frame):
    found, at = {}, 14 + 20 + 8 + 240
    while at < len(frame) and frame[at] != 0xff:
        if frame[at] == 0:
            at += 1
            continue
        found[frame[at]] = frame[at + 2:at + 2 + frame[at + 1]]
        at += 2 + frame[at + 1]
    return found


class NetTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def run_image(self, image, *arguments):
        kernel, serial = (str(pathlib.Path(self.folder.name) / name) for name in ("image", "serial"))
        pathlib.Path(kernel).write_bytes(image)
        done = subprocess.run([*PACIFICA, "-kernel", kernel, "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-display", "none",
                               "-serial", f"file:{serial}", "-max-time", "30", *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
        return done.returncode, done.stderr.decode("latin-1"), pathlib.Path(serial).read_bytes()

    def exchange(self, steps, *arguments):
        """The frames that the guest got."""
        status, told, shown = self.run_image(driver(steps), *arguments)
        self.assertEqual(status, 1, told)
        return arrived(shown)

    def silence(self, frames, *arguments):
        """Nothing answers the frames; the gateway, asked behind them, does."""
        steps = [(frame, 0) for frame in frames] + [(arp(GATEWAY), 1)]
        answers = self.exchange(steps, *arguments)
        self.assertEqual([answer[12:14] for answer in answers], [b"\x08\x06"], arguments)

    def refused(self, line, *arguments):
        done = subprocess.run([*PACIFICA, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=TIMEOUT_SECONDS, check=False)
        self.assertEqual((done.stderr.decode("latin-1"), done.returncode), (f"pacifica: {line}\n", 2), arguments)


class Options(NetTest):
    def test_forms(self):
        for arguments in (("-nic", "user"), ("-nic", "user,model=virtio-net-pci,restrict=on"), ("-nic", "user,model=virtio"),
                          ("-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n"),
                          ("-device", "virtio-net,netdev=n,id=card,romfile=", "-netdev", "user,id=n,restrict=yes"),
                          ("-nic", "none", "-nic", "user", "-net", "none")):
            self.assertEqual(len(self.exchange([(arp(GATEWAY), 1)], *arguments)), 1, arguments)

    def test_mac(self):
        show_mac = b"".join(b"\x66\xba" + struct.pack("<H", CARD_PORTS + 20 + i) + b"\xec\x66\xba\xf8\x03\xee" for i in range(6))
        image = images.multiboot(config(0x10, CARD_PORTS) + config(4, 7) + show_mac + images.exit_with(0))
        for option, wanted in (("user", MAC), ("user,mac=02:Ab:00:01:fe:FF", bytes.fromhex("02ab0001feff"))):
            self.assertEqual(self.run_image(image, "-nic", option), (1, "", wanted))

    def test_values(self):
        for text, what in (("restrict=2", "neither on nor off"), ("foo=1", "no property of a network"),
                           ("mac=1", "no address of a network card"), ("mac=01:00:00:00:00:00", "no address of a network card"),
                           ("mac=00:00:00:00:00:00", "no address of a network card"),
                           ("mac=52:54:00:12:34-56", "no address of a network card"),
                           *((f"hostfwd={bad}", "not hostfwd=tcp|udp:[HOST]:PORT-[GUEST]:PORT")
                             for bad in ("", "tcp", "tcp::1", "tcp::1-", "tcp::1-:0", "tcp::0-:1", "tcp::65536-:1", "sctp::1-:1",
                                         "tcp:1.2.3:1-:1", "tcp::1-host:1", "tcp::x-:1", "tcp::1-:1x"))):
            self.refused(f"-nic: '{text}' is {what}", "-nic", f"user,{text}")
        for text in ("model=e1000", "guestfwd=x", "tftp=/", "net=10.0.0.0/8"):
            self.refused(f"-nic: {text}: not there yet", "-nic", f"user,{text}")
        self.refused("-nic: tap: not there yet", "-nic", "tap")
        self.refused("-netdev: bridge: not there yet", "-netdev", "bridge,id=x")
        self.refused("-netdev: 'user' is a network without id=", "-netdev", "user")
        self.refused("-netdev: 'x' is the ID of two networks", "-netdev", "user,id=x", "-netdev", "user,id=x")
        self.refused("-netdev: no -device uses 'x'", "-netdev", "user,id=x")
        self.refused("-device: no network 'x'", "-device", "virtio-net-pci,netdev=x")
        self.refused("-device: 'virtio-net-pci' is a network card without netdev=", "-device", "virtio-net-pci")
        self.refused("-device: network 'x' has a card already", "-netdev", "user,id=x",
                     *("-device", "virtio-net-pci,netdev=x") * 2)
        self.refused("-nic: too many networks (4)", *("-nic", "user") * 5)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.refused(f"hostfwd: port {port} of 127.0.0.1 cannot be had: Address already in use",
                         "-nic", f"user,hostfwd=tcp::{port}-:22")


class Inside(NetTest):
    def test_gateway(self):
        reply, pong = self.exchange([(arp(GATEWAY), 1), (echo(GATEWAY, b"x" * 1400), 2)], "-nic", "user")
        self.assertEqual(reply[:6], MAC)
        self.assertEqual(reply[20:22] + reply[28:32], b"\0\2" + GATEWAY)
        self.assertEqual(pong[26:34] + pong[34:35], GATEWAY + GUEST + b"\0")
        self.assertTrue(pong.endswith(b"x" * 1400))

    def test_dhcp(self):
        """Who cannot get out is told of no way out."""
        for restrict, ways in (("on", (None, None)), ("off", (GATEWAY, NAMES))):
            offer, ack = self.exchange(LEASE, "-nic", f"user,restrict={restrict}")
            for frame, kind in ((offer, OFFER), (ack, ACK)):
                options = dhcp_options(frame)
                self.assertEqual(options[53], bytes([kind]))
                self.assertEqual(frame[14 + 28 + 16:14 + 28 + 20], GUEST)
                self.assertEqual((options[1], options.get(3), options.get(6)), (b"\xff\xff\xff\0", *ways))

    def test_names_are_refused(self):
        question = dns("www.example.org")
        answer, = self.exchange([(udp(NAMES, 53, question), 1)], "-nic", "user")
        self.assertEqual(answer[26:34], NAMES + GUEST)
        self.assertEqual(checksum(answer[14:34]), 0)
        self.assertEqual(struct.unpack(">HHHH", answer[34:42]), (53, 1000, 8 + len(question), 0))
        self.assertEqual(answer[42:46], b"\x42\x42\x81\x05")
        self.assertEqual(answer[46:], question[4:])

    def test_questions_that_are_none(self):
        good = dns("www.example.org")
        for bad in (good[:11], good[:-1], good[:2] + b"\x81" + good[3:], good[:5] + b"\2" + good[6:],
                    good[:12] + b"\xc0" + good[13:], good[:12] + b"\x3f" * 200, b""):
            self.silence([udp(NAMES, 53, bad)], "-nic", "user")

    def test_what_makes_no_sense_is_lost(self):
        self.silence([ethernet(0x0806, b""), ethernet(0x0800, b"\x45"), ethernet(0x86dd, bytes(60)), ethernet(0x0800, bytes(1500)),
                      arp(GATEWAY)[:20] + b"\0\2" + arp(GATEWAY)[22:], arp(NOBODY, NOBODY), arp(GUEST, ALL), MAC * 2,
                      echo(GATEWAY, source=bytes([127, 0, 0, 1])), echo(GATEWAY, source=bytes([224, 0, 0, 1])),
                      echo(GATEWAY, source=bytes([0, 1, 2, 3])), echo(GATEWAY, fragment=0x2000), echo(GATEWAY, fragment=1)],
                     "-nic", "user")

    def test_nothing_leaves(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
            heard.bind(("127.0.0.1", 0))
            heard.setblocking(False)
            self.silence([udp(GATEWAY, heard.getsockname()[1], b"hello"), echo(bytes([192, 0, 2, 1])),
                          udp(bytes([192, 0, 2, 1]), 9, b"x")], "-nic", "user")
            with self.assertRaises(BlockingIOError):
                heard.recv(100)

    def test_runs_are_the_same(self):
        steps = [*LEASE, (arp(GATEWAY), 3), (echo(GATEWAY), 4), (udp(NAMES, 53, dns("a.b")), 5)]
        hashes = set()
        for more in ((), (), ("-exact-blocks",), ("-screendump-at", f"2000:{self.folder.name}/picture.txt")):
            status, told, _ = self.run_image(driver(steps), "-nic", "user", "-state-hash", *more)
            self.assertEqual(status, 1)
            hashes.add(re.search("state hash ([0-9a-f]{16})", told).group(1))
        self.assertEqual(len(hashes), 1)


class Outside(NetTest):
    def echo_server(self, server):
        def serve():
            data, peer = server.recvfrom(100)
            server.sendto(data.upper(), peer)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        return thread

    def test_guest_gets_out(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.settimeout(TIMEOUT_SECONDS)
            thread = self.echo_server(server)
            answer, = self.exchange([(udp(GATEWAY, server.getsockname()[1], b"hello"), 1)], "-nic", "user,restrict=off")
            thread.join()
        self.assertEqual(answer[26:34], GATEWAY + GUEST)
        self.assertEqual(answer[42:47], b"HELLO")

    def test_peer_that_is_gone_ends_nothing(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            server.settimeout(TIMEOUT_SECONDS)
            port = server.getsockname()[1]
            thread = threading.Thread(target=lambda: server.accept()[0].close(), daemon=True)
            thread.start()
            # The second frame tells of the peer's end. What is sent then brings a reset, and what follows finds no peer.
            steps = [(tcp(GATEWAY, port, SYN, 1000), 1), (tcp(GATEWAY, port, TCP_ACK, 1001, 2), 2)]
            for i in range(3):
                steps.append((tcp(GATEWAY, port, PUSH_ACK, 1001 + 4 * i, 2, b"data"), None))
            frames = self.exchange(steps, "-nic", "user,restrict=off")
            thread.join()
        self.assertEqual(frames[0][47], SYN | TCP_ACK)
        self.assertTrue(frames[1][47] & FIN)

    def test_others_get_in(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            free.close()
            client.bind(("127.0.0.1", 0))
            done = threading.Event()

            def call():
                while not done.wait(0.05):
                    client.sendto(b"hello", ("127.0.0.1", port))
            thread = threading.Thread(target=call, daemon=True)
            thread.start()
            try:
                frames = self.exchange([(arp(GATEWAY), 2)], "-netdev", f"user,id=n,hostfwd=udp:127.0.0.1:{port}-:7",
                                       "-device", "virtio-net-pci,netdev=n")
            finally:
                done.set()
                thread.join()
        self.assertEqual(frames[1][26:34], GATEWAY + GUEST)
        self.assertEqual(struct.unpack(">H", frames[1][36:38]), (7,))
        self.assertEqual(frames[1][42:47], b"hello")


def main():
    global PACIFICA
    PACIFICA = [*os.environ.get("PACIFICA_RUNNER", "").split(), os.path.abspath(sys.argv.pop(1))]
    unittest.main()


if __name__ == "__main__":
    main()
