"""A threaded HTTP server that predicts, as people write one, and clients that know the right answers."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from benchmarks.threads.calls import ROWS, Outcome, X, count, network


def serve(backend: str, threads: int, requests: int) -> Outcome:
    """Serve clients with a connection each; every answer must be the prediction for the rows that were sent."""
    net = network(backend)
    expected = {rows: net.predict(X[:rows]).tobytes() for rows in ROWS}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet per response, not one per line

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = net.predict(np.frombuffer(body, np.float32).reshape(-1, X.shape[1])).tobytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own, connections = threading.local(), []

    def request(question: int) -> bool:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(*server.server_address[:2])
            connections.append(own.connection)
        rows = ROWS[question % len(ROWS)]
        own.connection.request("POST", "/", X[:rows].tobytes())
        answer = own.connection.getresponse()
        return answer.read() == expected[rows] and answer.status == 200

    try:
        return count("HTTP server", backend, threads, requests, request)
    finally:
        for connection in connections:
            connection.close()
        server.shutdown()
        server.server_close()
