"""A mutual-TLS server of known capacity: answers leave it one by one, a fixed time apart, however fast the machine is.

With --shed a request that would wait for longer than that is answered with 503 at once."""
import argparse
import asyncio
import json
import ssl
import sys


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("--ca", "--cert", "--key"):
        parser.add_argument(name, required=True)
    parser.add_argument("--rate", type=float, required=True, help="answers a second")
    parser.add_argument("--shed", type=float, help="seconds of waiting, above which it answers 503")
    return parser.parse_args()


class Meter:
    """When the next answer may leave: a queue that is kept on paper, so no sleep that is late adds up."""

    def __init__(self, args):
        self.gap, self.shed, self.free = 1 / args.rate, args.shed, 0

    async def serve(self):
        now = asyncio.get_running_loop().time()
        start = max(now, self.free)
        if self.shed is not None and start - now > self.shed:
            return b"503 Service Unavailable"
        self.free = start + self.gap
        await asyncio.sleep(self.free - now)
        return b"200 OK"


async def talk(meter, reader, writer):
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            status = await meter.serve()
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def main():
    args = arguments()
    meter = Meter(args)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.cert, args.key)
    context.load_verify_locations(args.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.start_server(lambda r, w: talk(meter, r, w), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    print("READY", json.dumps({"addr": f"127.0.0.1:{port}"}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
