"""MkDocs hook that adds the linked files of the repository to the documentation site.

On GitHub, pages in docs/ link to results, examples and code elsewhere in the repository. The site does not contain
these files, so each is added below `repository/`, and the links are rewritten: Markdown and notebooks become pages,
code becomes a page with syntax highlighting, folders become lists of files, other files are copied. MkDocs then checks
these links like all others.
"""

import base64
import json
import logging
import posixpath
import re
from html import unescape
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOG = logging.getLogger("mkdocs.hooks.docs_site")
ELSEWHERE = "repository"
LANGUAGES = {
    ".py": "python",
    ".pyi": "python",
    ".cu": "cuda",
    ".h": "cpp",
    ".cpp": "cpp",
    ".yml": "yaml",
    ".yaml": "yaml",
    ".toml": "toml",
    ".txt": "text",
}
"""Suffix of files shown as code -> the name of their language in Pygments."""
CODE = (
    r"^(?P<indent> *)(?P<fence>`{3,})[^\n]*\n.*?^(?P=indent)(?P=fence) *$"
    r"|(?P<tick>`+)(?:(?!\n\n).)+?(?<!`)(?P=tick)(?!`)"
)
"""A fenced block or a code span; links and headings inside are ignored."""
LINK = re.compile(CODE + r"|\]\((?P<target>[^)\s]+)(?P<title>\s+\"[^\"]*\")?\)", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r'<p>(<img [^>]*\bsrc="([^"]+)"[^>]*>)</p>')
FORMULA = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)
CELL = re.compile(r"<td(?P<attributes>[^>]*)>(?P<content>.*?)</td>", re.DOTALL)
CELL_CODE = re.compile(r"(?<=<code>).*?(?=</code>)", re.DOTALL)
BREAK = re.compile(r"(?<=[^_]_)(?=[^\W\d_])|(?<=[/(=,])(?=[^\W\d]|[&\"'{\[])|(?<=\.)(?=[^\W\d]{4})|(?<=[a-z])(?=[A-Z])")
"""Where a line of code in a cell may end: after a separator, and within CamelCase."""
LONG_CELL, LONG_LINE = 40, 130
"""Numbers of characters: a cell with more gets a minimum width; a block of text with a longer line wraps its lines."""
TEXT = re.compile(r'<div class="language-(?:text|console) highlight">.*?</div>', re.DOTALL)
HEADING = re.compile(CODE + r"|^#{1,6} +(?P<heading>.*?) *$", re.MULTILINE | re.DOTALL)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
OUTSIDE = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>|@import[^;]*//"
)


def place(path):
    """Return the path of a file or folder of the repository among the site's sources."""
    if (ROOT / path).is_dir():
        readme = posixpath.join(path, "README.md")
        path = readme if (ROOT / readme).exists() else posixpath.join(path, "index.md")
    if path in ("README.md", "docs/index.md"):
        return "index.md"
    if path.startswith("docs/"):
        return path[len("docs/") :]
    path = re.sub(r"(^|/)\.", r"\1", path)  # MkDocs leaves out names that begin with a dot
    is_page = Path(path).suffix in LANGUAGES or path.endswith(".ipynb")
    return f"{ELSEWHERE}/{path}.md" if is_page else f"{ELSEWHERE}/{path}"


def target_of(link, path):
    """Return the path in the repository that a link in `path` leads to, and its anchor; (None, "") for other links."""
    file, hash, anchor = link.partition("#")
    if not file or re.match(r"[a-z]+:|/", file):
        return None, ""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
    return (target, hash + anchor) if (ROOT / target).exists() else (None, "")


def anchor(heading, separator="-"):
    """Return the anchor of a heading, as GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", separator)


def anchors(text):
    """Return the anchors of a document."""
    return {anchor(found["heading"]) for found in HEADING.finditer(text) if found["heading"]}


def links(text, path):
    """Yield the paths in the repository that a document links to."""
    for found in LINK.finditer(text):
        if found["target"] and (target := target_of(found["target"], path)[0]):
            yield target


def moved(text, path):
    """Return a document with its links rewritten to the targets' places on the site."""
    here = posixpath.dirname(place(path))

    def change(found):
        target, anchor = target_of(found["target"], path) if found["target"] else (None, "")
        if target is None:
            return found[0]
        return f"]({posixpath.relpath(place(target), here)}{anchor}{found['title'] or ''})"

    return LINK.sub(change, text)


def fenced(text, language):
    """Return text as a block of code."""
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def unsearched(text):
    """Return a page with front matter that excludes it from the search."""
    return f"---\nsearch:\n  exclude: true\n---\n\n{text}"


def code_page(path):
    """Return the page that shows a file of code."""
    text = (ROOT / path).read_text(encoding="utf-8")
    folder, name = posixpath.split(path)
    return unsearched(f"# {name}\n\n`{folder or '.'}/`\n\n{fenced(text, LANGUAGES[Path(path).suffix])}\n")


def folder_page(path, known):
    """Return the page of a folder: its package's docstring and a list of files, with links to those on the site."""
    parts, here = [f"# {path}/\n"], posixpath.dirname(place(path))
    package = ROOT / path / "__init__.py"
    if package.exists() and (said := re.match(r'"""(.*?)"""', package.read_text(encoding="utf-8"), re.DOTALL)):
        parts.append(fenced(said[1].strip(), "text") + "\n")
    for one in sorted((ROOT / path).iterdir(), key=lambda one: (one.is_file(), one.name)):
        if one.name.startswith((".", "__pycache__")) or one.is_symlink():
            continue
        name, shown = f"{path}/{one.name}", f"`{one.name}{'' if one.is_file() else '/'}`"
        parts.append(f"- [{shown}]({posixpath.relpath(place(name), here)})" if name in known else f"- {shown}")
    return unsearched("\n".join(parts) + "\n")


def notebook_page(path):
    """Return a notebook as Markdown, and its pictures: file name -> PNG."""
    cells = json.loads((ROOT / path).read_text(encoding="utf-8"))["cells"]
    parts, pictures = [], {}
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(fenced(source, "python"))
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{Path(path).stem}-{len(pictures)}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![output]({name})")
            elif said := "".join(output.get("text", data.get("text/plain", ()))):
                parts.append(fenced(ESCAPES.sub("", said), "text"))
    return "\n\n".join(parts) + "\n", pictures


def readable_cell(found):
    """Return a cell of a table, whose code breaks at separators and which stays readable on a phone."""
    content = CELL_CODE.sub(lambda code: BREAK.sub("<wbr>", code[0].replace("\\|", "|")), found["content"])
    long = len(unescape(re.sub("<[^>]*>", "", content))) > LONG_CELL
    return f"<td{found['attributes']}{' class=long' if long else ''}>{content}</td>"


def readable_text(found):
    """Return a block of output or commands, with a class by which it wraps if it has a long line."""
    lines = unescape(re.sub("<[^>]*>", "", found[0])).splitlines()
    long = max(map(len, lines), default=0) > LONG_LINE
    return found[0].replace(" highlight", " wrapped highlight", 1) if long else found[0]


def elsewhere():
    """Return the paths outside docs/ that the documents link to, directly or through one another."""
    waiting = ["README.md", *(one.relative_to(ROOT).as_posix() for one in (ROOT / "docs").rglob("*.md"))]
    found = set(waiting)
    while waiting:
        path = waiting.pop()
        text = (ROOT / path).read_text(encoding="utf-8") if path.endswith(".md") else ""
        for target in links(text, path):
            readme = f"{target}/README.md"
            target = readme if (ROOT / readme).exists() else target
            if target not in found and not target.startswith("docs/"):
                found.add(target)
                waiting.append(target)
    return sorted(path for path in found if not path.startswith("docs/"))


def made_of(path, known):
    """Yield the site's files for a file or folder of the repository: path, and text, bytes or the file to copy."""
    uri = place(path)
    if (ROOT / path).is_dir():
        yield uri, folder_page(path, known)
    elif path.endswith(".md"):
        yield uri, moved((ROOT / path).read_text(encoding="utf-8"), path)
    elif path.endswith(".ipynb"):
        text, pictures = notebook_page(path)
        yield uri, text
        for name, data in pictures.items():
            yield posixpath.join(posixpath.dirname(uri), name), data
    elif Path(path).suffix in LANGUAGES:
        yield uri, code_page(path)
    else:
        yield uri, ROOT / path


def on_config(config):
    """Make anchors as GitHub does, so that links to them work in both places."""
    config.mdx_configs["toc"]["slugify"] = anchor
    return config


def on_files(files, config):
    """Add the files that the documents link to."""
    from mkdocs.structure.files import File

    known = elsewhere()
    for path in known:
        for uri, content in made_of(path, known):
            given = {"abs_src_path": str(content)} if isinstance(content, Path) else {"content": content}
            files.append(File.generated(config, uri, **given))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrite links that leave docs/, and language names that Pygments does not know."""
    if page.file.generated_by is None:
        markdown = moved(markdown, f"docs/{page.file.src_uri}")
    return re.sub(r"^```python (?:with )?\w+$", "```python", markdown, flags=re.MULTILINE)


def on_page_content(html, page, config, files):
    """Convert TeX to MathML, link pictures to their full size, and make tables and text fit narrow windows."""
    from latex2mathml.converter import convert

    def formula(found):
        text = unescape(found[2]).strip()
        text, display = text[2:-2].strip(), "block" if text.startswith("\\[") else "inline"
        return convert(text, display=display)

    for problem in re.findall(r"<p>[^<]*\n(?:- |\* |\d+\. |\|)[^<]{0,60}", html):
        LOG.warning(
            "%s: a list or table without an empty line before it is rendered as text: %r", page.file.src_uri, problem
        )
    html = PICTURE.sub(r'<p><a href="\2">\1</a></p>', FORMULA.sub(formula, html))
    return TEXT.sub(readable_text, CELL.sub(readable_cell, html))


def on_post_build(config):
    """Warn about elements that a browser would load from another server."""
    for path in Path(config.site_dir).rglob("*.html"):
        for found in OUTSIDE.findall(path.read_text(encoding="utf-8")):
            LOG.warning("%s loads from another server: %s", path.relative_to(config.site_dir), found)
