#!/usr/bin/env python3
"""Asks a server of the fleet once.

usage: ask.py METHOD URL [PKI] [--times N] [--sum REGEX]

URL is https:, as one of the PKI's clients with a good key and token, or http+unix://SOCKET/PATH, which asks for neither.
Prints the last answer's body, or with --sum the sum of the numbers that the first group of REGEX matches in it, the least of
N: of a heap under load what is kept is in each of them, and what came since the collection only adds. Exit code 1 unless the
status is 2xx: hooks and memory commands of tlsoak are told by it.
"""
import argparse
import base64
import hashlib
import hmac
import http.client
import json
import pathlib
import re
import socket
import ssl
import sys
import time
import urllib.parse

TIMEOUT_S = 30


def secret(path):
    return path.read_text().strip().encode() if path.exists() else None


def api_key(pki):
    text = "client-hook"
    return f"{text}.{hmac.new(secret(pki / 'apikey.secret'), text.encode(), hashlib.sha256).hexdigest()}"


def token(pki):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    now = int(time.time())
    claims = {"sub": "client-hook", "iat": now, "nbf": now - 5, "exp": now + 3600}
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.new(secret(pki / "jwt.secret"), text, hashlib.sha256).digest())).decode()


class Unix(http.client.HTTPConnection):
    """Over a socket that is a file."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def ask(method, url, pki):
    """Status and body of one exchange on a connection of its own."""
    where = urllib.parse.urlsplit(url)
    if where.scheme == "http+unix":
        connection, headers = Unix(where.netloc, timeout=TIMEOUT_S), {"Host": ""}  # a file has no name
    else:
        context = ssl.create_default_context(cafile=pki / "ca.pem")
        context.load_cert_chain(pki / "clients" / "client-1.pem")
        context.check_hostname = False
        connection = http.client.HTTPSConnection(where.hostname, where.port, context=context, timeout=TIMEOUT_S)
        headers = {"X-API-Key": api_key(pki), "Authorization": f"Bearer {token(pki)}"}
    path = where.path + ("?" + where.query if where.query else "")
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read().decode(errors="replace")
    connection.close()
    return response.status, body


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("method")
    parser.add_argument("url")
    parser.add_argument("pki", type=pathlib.Path, nargs="?")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--sum", metavar="REGEX")
    args = parser.parse_args()
    least = None
    for _ in range(args.times):
        status, body = ask(args.method, args.url, args.pki)
        if not 200 <= status < 300:
            sys.exit(f"ask: {args.method} {args.url}: status {status}")
        if args.sum is not None:
            found = [int(number) for number in re.findall(args.sum, body)]
            if not found:
                sys.exit(f"ask: {args.url} does not match {args.sum}")
            least = sum(found) if least is None else min(least, sum(found))
    print(body if least is None else least)


if __name__ == "__main__":
    main()
