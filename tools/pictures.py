"""Pictures in docs/assets: commands on a terminal of 80 columns, and pages of the site.

    make docs && python -m tools.pictures [NAME ...]     # needs Chromium and `pip install pyte`

Each command runs in a pseudo-terminal; what is on its screen at the end becomes a PNG.
"""

import fcntl
import functools
import html
import http.server
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from pathlib import Path

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "docs" / "assets"
COLUMNS = 80
SHELL = [shutil.which("bash") or "bash", "-c"]
COMMANDS = {
    "terminal-demo": ["git clone --quiet " + str(ROOT) + " dnnkit", "cd dnnkit && time make demo"],
    "terminal-train": ["dnnkit train --epochs 30 --out runs/digits", "dnnkit inspect runs/digits"],
    "terminal-bench": ["dnnkit bench activations"],
    "terminal-errors": [
        "dnnkit train --hiden 64",
        "dnnkit train --hidden 64 32",
        "dnnkit train --activation 'x *'",
        "dnnkit train cifar",
        "dnnkit predict runs/digits pixels.npy",
    ],
}
"""Name of a picture -> the commands that it shows, run in order in an empty folder."""
PAGES = {
    "site-wide": ("start/", 1280, 860, "light"),
    "site-notebook": ("repository/examples/1_one_neuron.ipynb/", 1280, 1500, "dark"),
    "site-phone": ("speed/", 400, 860, "light"),
    "site-reference": ("reference/losses/", 400, 860, "dark"),
}
"""Name of a picture -> page, width, height and color scheme."""
SETUP = {
    "terminal-errors": "python -c \"import numpy; numpy.save('pixels.npy', numpy.zeros((3, 100)))\""
    " && dnnkit train --quiet --epochs 3 --out runs/digits"
}
"""Commands that run before a picture's, and are not shown."""
COLORS = {
    "green": "#7ec699",
    "red": "#f07178",
    "yellow": "#e5c07b",
    "brown": "#e5c07b",
    "blue": "#82aaff",
    "cyan": "#89ddff",
    "magenta": "#c792ea",
}
STYLE = (
    "body{margin:0;background:#1e2127;color:#d7dae0}pre{margin:0;padding:14px 16px;font:14px/18px 'DejaVu Sans Mono',"
    "monospace}.prompt{color:#8a93a3}.command{color:#fff;font-weight:bold}"
)


def lines_of(command, folder):
    """Run a command on a terminal; return its final screen as lines of HTML."""
    import pyte

    screen = pyte.Screen(COLUMNS, 500)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "CI")}
    environment.update(TERM="xterm-256color", TIMEFORMAT="%0R s", XDG_CACHE_HOME=str(folder) + "/cache")
    process = subprocess.Popen(
        [*SHELL, command], cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the end of the output, on Linux
            break
        if not part:
            break
        stream.feed(part)
    process.wait()
    os.close(ours)
    used = max((number for number, line in enumerate(screen.display, 1) if line.strip()), default=0)
    return ["".join(shown(screen.buffer[y][x]) for x in range(COLUMNS)).rstrip() for y in range(used)]


def shown(character):
    """Return a character of the screen as HTML."""
    text = html.escape(character.data)
    color = COLORS.get(character.fg.replace("bright", ""), "#" + character.fg if len(character.fg) == 6 else "")
    style = ("color:" + color + ";" if color and text.strip() else "") + ("font-weight:bold" if character.bold else "")
    return '<span style="{}">{}</span>'.format(style, text) if style else text


def take(url, path, width, height, scheme="light"):
    """Write a picture of a page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or sys.exit("tools.pictures needs Chromium")
    command = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=3000"]
    command += ["--blink-settings=preferredColorScheme=" + ("0" if scheme == "dark" else "1")]
    subprocess.run(
        [*command, "--window-size={},{}".format(width, height), "--screenshot=" + str(path), url],
        check=True,
        capture_output=True,
    )
    print(path.relative_to(ROOT), path.stat().st_size // 1000, "kB")


def terminal(name):
    """Write the picture of a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        if name in SETUP:
            subprocess.run([*SHELL, SETUP[name]], check=True, cwd=folder)
        lines = []
        for command in COMMANDS[name]:
            lines.append(
                '<span class="prompt">$</span> <span class="command">{}</span>'.format(
                    html.escape(command.replace(str(ROOT), "dnnkit.git"))
                )
            )
            lines += [*lines_of(command, folder), ""]
        page = Path(folder) / "page.html"
        text = "\n".join(lines[:-1])
        page.write_text("<meta charset=utf-8><style>{}</style><pre>{}</pre>".format(STYLE, text), encoding="utf-8")
        take(page.as_uri(), ASSETS / (name + ".png"), round(8.43 * COLUMNS) + 34, 18 * (len(lines) - 1) + 28)


class Silent(http.server.SimpleHTTPRequestHandler):
    """Serve files, and log nothing."""

    def log_message(self, *_):
        """Log nothing."""


def main():
    """Write the pictures that are named, or all."""
    names = sys.argv[1:] or [*COMMANDS, *PAGES]
    unknown = set(names) - {*COMMANDS, *PAGES}
    if unknown:
        sys.exit("no picture {}: expected {}".format(", ".join(unknown), ", ".join([*COMMANDS, *PAGES])))
    handler = functools.partial(Silent, directory=str(ROOT / "site"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in names:
        if name in COMMANDS:
            terminal(name)
        else:
            page, width, height, scheme = PAGES[name]
            url = "http://127.0.0.1:{}/{}".format(server.server_port, page)
            take(url, ASSETS / (name + ".png"), width, height, scheme)
    server.shutdown()


if __name__ == "__main__":
    main()
