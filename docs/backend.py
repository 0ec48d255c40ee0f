#!/usr/bin/env python3
"""A backend for catenary without Rails, in Python's standard library: docs/rpc.md, "The POST".

    export CATENARY_SECRET=0123456789abcdef REDIS_URL=redis://127.0.0.1:6379/0
    python3 docs/backend.py 3000 &
    catenary --backend-url http://127.0.0.1:3000

A browser connects to ws://127.0.0.1:8080/cable?user=ada. It can subscribe to
{"channel": "RoomChannel", "room": "7"} and perform "echo" there. It receives whatever is published:

    redis-cli publish room:7 '{"text": "hello"}'
"""
import hashlib
import hmac
import json
import os
import secrets
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KEY = hmac.digest(os.environ["CATENARY_SECRET"].encode(), b"catenary rpc v1", "sha256")
SETTINGS = {"mount_path": "/cable", "threads": 9,  # catenary keeps one less request in flight
            "cable": {"adapter": "redis", "url": os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")}}


# The application.

def connected(request):
    """Returns the user, or None to reject the connection."""
    return parse_qs(urlsplit(request["url"]).query).get("user", [None])[0]


def disconnected(user):
    print(f"{user} has left", flush=True)


def subscribed(params):
    """Returns the stream of a subscription, or None to reject it."""
    if params.get("channel") == "RoomChannel" and params.get("room"):
        return f"room:{params['room']}"


def performed(user, data, state):
    """Returns what to transmit, if anything, and the new state of the channel."""
    if data.get("action") == "echo":
        count = state.get("count", 0) + 1
        return {"user": user, "count": count, "echo": data.get("text")}, {"count": count}
    return None, state


# The contract: one call in, one result out.

class Connection:
    """One browser. catenary keeps all of its state and sends it back in a full call, so a process may
    forget a connection at any time, and the next call may go to another process."""

    def __init__(self, call):
        self.user, self.version = call.get("state"), None
        self.channels = {name: json.loads(channel.get("state", "{}")) for name, channel in call["channels"].items()}

    def run(self, call):
        ops, touched = [], {}
        result = {"status": 200, "ops": ops, "channels": touched}
        if call["do"] == "open":
            headers = {name.lower(): value for name, value in call["request"]["headers"]}
            if "origin" in headers and urlsplit(headers["origin"]).netloc != headers.get("host"):
                return {"status": 404, "headers": [], "body": "Page not found"}
            self.user = connected(call["request"])
            ops.append(["welcome"] if self.user else ["disconnect", "unauthorized", False])
            result |= {"state": self.user or "", "id": self.user or ""}
        elif call["do"] == "frames":
            for frame in call["frames"]:
                command = json.loads(frame)
                name = command["identifier"]
                self.execute(command, name, ops)
                touched[name] = {"state": json.dumps(self.channels[name])} if name in self.channels else None
        elif call["do"] == "close" and self.user:
            disconnected(self.user)
        self.version = result["ver"] = secrets.token_hex(8)
        return result

    def execute(self, command, name, ops):
        kind, known = command["command"], name in self.channels
        if kind == "subscribe" and not known:
            stream = subscribed(json_object(name))
            if stream is None:
                ops.append(["reject", name])
            else:
                self.channels[name] = {}
                ops.extend([["sub", name, stream, None], ["confirm", name]])
        elif kind == "unsubscribe":
            self.channels.pop(name, None)
        elif kind == "message" and known:
            message, self.channels[name] = performed(self.user, json_object(command.get("data")), self.channels[name])
            if message is not None:
                ops.append(["message", name, message])


CONNECTIONS = {}  # by catenary's name for them
NONCES = {}  # of the last two minutes, with the times at which they were seen
LOCK = threading.Lock()  # guards both


def run(call):
    name = call["conn"]
    connection = Connection(call) if "request" in call else CONNECTIONS.get(name)
    if connection is None or connection.version != call.get("ver") and "request" not in call:
        return {"need": "state"}
    result = connection.run(call)
    with LOCK:
        CONNECTIONS.pop(name, None)
        if call["do"] != "close" and "ver" in result:
            CONNECTIONS[name] = connection
        if len(CONNECTIONS) > 10_000:
            CONNECTIONS.pop(next(iter(CONNECTIONS)))  # the one that has been idle for longest
    return result


def json_object(text):
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer(404, {})  # catenary tries to open a link first

    def do_POST(self):
        body = self.rfile.read(max(0, min(int(self.headers.get("Content-Length", 0)), 32 << 20)))
        if self.path != "/_catenary" or not self.signed(body):
            return self.answer(404, {})
        request = json.loads(body)
        if request["v"] != 1:
            return self.answer(400, {"error": "version", "supported": [1]})
        reply = {"v": 1, "process": f"b-{os.getpid()}", "results": [run(call) for call in request["calls"]]}
        if not request["calls"]:
            reply["settings"] = SETTINGS
        self.answer(200, reply)

    def signed(self, body):
        sent, nonce, signature = (self.headers.get("Catenary-" + name, "") for name in ("Time", "Nonce", "Signature"))
        expected = hmac.new(KEY, f"v1\n{sent}\n{nonce}\n".encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode()) or abs(time.time() - int(sent)) > 60:
            return False
        with LOCK:
            for old in [old for old, at in NONCES.items() if at < time.time() - 120]:
                del NONCES[old]
            seen = nonce in NONCES
            NONCES[nonce] = time.time()
        return not seen

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Backend).serve_forever()
