"""An HTTP/2 client of another make (python3-h2) that speaks to a server over TLS, in ways that it must bear or refuse.

Arguments: SCENARIO HOST PORT CERT KEY ROOT TARGET. It opens tunnels to TARGET, or posts there if it is a URL (https://). Prints one JSON line: what became of the connection and of its streams.
"""
import json
import select
import socket
import ssl
import sys
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

scenario, host, port, cert, key, root, authority = sys.argv[1:8]
PATIENCE = 10.0

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.check_hostname = False
context.load_verify_locations(root)
context.load_cert_chain(cert, key)
context.set_alpn_protocols(["h2"])
tls = context.wrap_socket(socket.create_connection((host, int(port)), PATIENCE))
tls.settimeout(PATIENCE)

result = {"alpn": tls.selected_alpn_protocol(), "statuses": [], "resets": [], "goaway": None, "closed": False, "bytes": 0}
config = h2.config.H2Configuration(client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False)
peer = h2.connection.H2Connection(config)
if authority.startswith("https://"):
    name, _, path = authority.removeprefix("https://").partition("/")
    connect = [(":method", "POST"), (":scheme", "https"), (":authority", name), (":path", "/" + path)]
else:
    connect = [(":method", "CONNECT"), (":authority", authority)]


def flush():
    data = peer.data_to_send()
    if data:
        tls.sendall(data)


def send_raw(data):
    """Bytes past the library, then takes what has come; whether the other end still listens."""
    try:
        tls.sendall(data)
        if tls.pending() or select.select([tls], [], [], 0)[0]:
            taken = []
            receive(lambda: taken or result["goaway"] is not None, lambda event: taken.append(1), patience=0.05)
            # A write that is cut short would end the conversation for another reason.
            tls.settimeout(PATIENCE)
        return result["goaway"] is None and not result["closed"]
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError, OSError):
        return False


def receive(until, on_event=lambda event: None, patience=PATIENCE):
    """Takes events until the condition holds, the peer closes, or patience ends."""
    deadline = time.monotonic() + patience
    while not until() and time.monotonic() < deadline:
        try:
            tls.settimeout(patience)
            data = tls.recv(65536)
        except (socket.timeout, TimeoutError):
            break
        except (ConnectionResetError, ssl.SSLError, OSError):
            result["closed"] = True
            break
        if not data:
            result["closed"] = True
            break
        try:
            events = peer.receive_data(data)
        except h2.exceptions.ProtocolError:
            # Frames that were sent past the library are answered, and it knows of none.
            continue
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                result["statuses"].append(dict(event.headers).get(b":status", b"").decode())
            elif isinstance(event, h2.events.StreamReset):
                result["resets"].append(int(event.error_code))
            elif isinstance(event, h2.events.ConnectionTerminated):
                result["goaway"] = int(event.error_code)
            elif isinstance(event, h2.events.DataReceived):
                result["bytes"] += len(event.data)
            on_event(event)
        try:
            tls.settimeout(PATIENCE)
            flush()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError, OSError):
            result["closed"] = True
            break


def start(settings=None):
    for code, value in (settings or {}).items():
        peer.local_settings[code] = value
        peer.local_settings.acknowledge()
    peer.initiate_connection()
    flush()


def settle():
    """Both ends' SETTINGS are acknowledged: nothing of ours gets in between the frames of a header block."""
    seen = set()
    wanted = {h2.events.RemoteSettingsChanged, h2.events.SettingsAcknowledged}
    receive(lambda: wanted <= seen, lambda event: seen.add(type(event)))


def open_tunnel():
    stream = peer.get_next_available_stream_id()
    peer.send_headers(stream, connect)
    flush()
    return stream


def ended():
    return result["closed"]


def echo():
    """Narrow windows, padding and priorities; every byte has to come back."""
    size = 200_000
    start({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1000})
    stream = open_tunnel()
    receive(lambda: result["statuses"])
    sent = bytes(i * 7 % 251 for i in range(size))
    position = 0
    got = bytearray()

    def on_event(event):
        if isinstance(event, h2.events.DataReceived):
            got.extend(event.data)
            peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    peer.prioritize(stream, weight=10, exclusive=True)
    while len(got) < size and not result["closed"]:
        room = min(peer.local_flow_control_window(stream) - 40, peer.max_outbound_frame_size - 40, 997)
        if position < size and room > 0:
            chunk = sent[position : position + room]
            peer.send_data(stream, chunk, pad_length=len(chunk) % 30)
            position += len(chunk)
            flush()
            if not tls.pending() and not select.select([tls], [], [], 0)[0]:
                continue
        before = len(got)
        receive(lambda: len(got) > before, on_event)
        if len(got) == before and position >= size:
            break
    result["bytes"] = len(got)
    result["equal"] = bytes(got) == sent
    peer.end_stream(stream)
    flush()
    done = []
    receive(lambda: done, lambda event: done.append(1) if isinstance(event, h2.events.StreamEnded) else None)
    result["ended"] = bool(done)


def half_close():
    """Everything sent before the answer, the end included; the answer still comes whole."""
    start()
    stream = peer.get_next_available_stream_id()
    peer.send_headers(stream, connect)
    peer.send_data(stream, b"early", end_stream=True)
    flush()
    done = []
    receive(lambda: done, lambda event: done.append(1) if isinstance(event, h2.events.StreamEnded) else None)
    result["ended"] = bool(done)


def rapid_reset():
    start()
    receive(lambda: False if result["closed"] else True)
    for _ in range(5000):
        stream = peer.get_next_available_stream_id()
        peer.send_headers(stream, connect)
        peer.reset_stream(stream)
        if not send_raw(peer.data_to_send()):
            break
    receive(ended)


def continuation_flood():
    start()
    settle()
    frame = HeadersFrame(1, Encoder().encode(connect))
    send_raw(frame.serialize())
    filler = ContinuationFrame(1, b"\x00\x01a\x40" + b"b" * 64)
    for _ in range(200_000):
        if not send_raw(filler.serialize()):
            break
    receive(ended)


def hpack_bomb():
    """One field of 4,000 bytes, and thousands of references to it."""
    start()
    settle()
    field = b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000
    frames = HeadersFrame(1, b"\x42\x07CONNECT" + field)
    send_raw(frames.serialize())
    for _ in range(100):
        if not send_raw(ContinuationFrame(1, b"\xbe" * 16_000).serialize()):
            break
    end = ContinuationFrame(1, b"\xbe")
    end.flags.add("END_HEADERS")
    send_raw(end.serialize())
    receive(lambda: ended() or result["statuses"])


def flood(make):
    def run():
        start()
        for i in range(50_000):
            if not send_raw(make(i).serialize()):
                break
        receive(ended)

    return run


def settings_frame(i):
    return SettingsFrame(0, settings={4: 65535 + i % 2})


def ping_frame(i):
    return PingFrame(0, opaque_data=i.to_bytes(8, "big"))


def priority_frame(i):
    return PriorityFrame(2 * i + 1, depends_on=0, stream_weight=1)


def window_update_frame(i):
    return WindowUpdateFrame(0, window_increment=1)


def ping_ack_frame(i):
    return PingFrame(0, opaque_data=i.to_bytes(8, "big"), flags=["ACK"])


def settings_ack_frame(i):
    return SettingsFrame(0, flags=["ACK"])


def unknown_frame(i):
    return ExtensionFrame(type=0xBE, stream_id=0, flag_byte=0)


def stream_flood(make):
    """On a connection with a stream that goes on."""

    def run():
        start()
        stream = open_tunnel()
        receive(lambda: result["statuses"] or ended(), patience=0.5)
        tls.settimeout(PATIENCE)
        for i in range(50_000):
            if not send_raw(make(stream, i).serialize()):
                break
        receive(ended)

    return run


def empty_data_frame(stream, i):
    return DataFrame(stream)


def goaway_frame(stream, i):
    return GoAwayFrame(0, last_stream_id=0, error_code=0)


def unread():
    """Asks on and on, and reads no answer."""
    start()
    settle()
    encoder = Encoder()
    stream = 1
    try:
        for _ in range(2_000):
            batch = b""
            for _ in range(500):
                frame = HeadersFrame(stream, encoder.encode(connect))
                frame.flags |= {"END_HEADERS", "END_STREAM"}
                batch += frame.serialize()
                stream += 2
            tls.sendall(batch)
            result["asked"] = stream // 2
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError, OSError):
        result["closed"] = True


def no_window():
    """A hundred tunnels whose answers have nowhere to go."""
    start({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    for _ in range(100):
        stream = open_tunnel()
        peer.send_data(stream, b"x" * 600)
    flush()
    receive(lambda: len(result["statuses"]) >= 100)
    result["tunnels"] = len(result["statuses"])
    # Somebody else is served meanwhile: the test says when it has seen it.
    print(json.dumps({"stalled": result["tunnels"]}), flush=True)
    sys.stdin.read()


def metadata():
    """More metadata than a tunnel may have, then a good request on the same connection."""
    start()
    stream = peer.get_next_available_stream_id()
    peer.send_headers(stream, connect + [("x-much-%d" % i, "v" * 8000) for i in range(9)])
    flush()
    receive(lambda: result["statuses"] or result["resets"] or ended())
    open_tunnel()
    receive(lambda: "200" in result["statuses"] or ended())


def trailers():
    """Trailers where a tunnel ends."""
    start()
    stream = open_tunnel()
    receive(lambda: result["statuses"])
    peer.send_data(stream, b"last words")
    peer.send_headers(stream, [("x-trailer", "1")], end_stream=True)
    flush()
    receive(lambda: result["bytes"] >= 10 or result["resets"] or ended())


scenarios = {
    "echo": echo,
    "half-close": half_close,
    "rapid-reset": rapid_reset,
    "continuation-flood": continuation_flood,
    "hpack-bomb": hpack_bomb,
    "settings-flood": flood(settings_frame),
    "ping-flood": flood(ping_frame),
    "priority-flood": flood(priority_frame),
    "window-update-flood": flood(window_update_frame),
    "ping-ack-flood": flood(ping_ack_frame),
    "settings-ack-flood": flood(settings_ack_frame),
    "unknown-flood": flood(unknown_frame),
    "empty-data-flood": stream_flood(empty_data_frame),
    "goaway-flood": stream_flood(goaway_frame),
    "unread": unread,
    "no-window": no_window,
    "metadata": metadata,
    "trailers": trailers,
}
try:
    scenarios[scenario]()
except h2.exceptions.ProtocolError as error:
    result["protocolError"] = str(error)
print(json.dumps(result))
