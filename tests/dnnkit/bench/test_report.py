"""The report: one self-contained file, whose tables sort. In a browser where there is one (`BROWSER_PATH`)."""

import re
import shutil
from html.parser import HTMLParser
from math import inf

import pytest

from dnnkit.bench.report import page
from dnnkit.bench.results import Results, Row

VOID = {"meta", "input", "br", "use", "path", "rect"}


@pytest.fixture(scope="module")
def results() -> Results:
    """A bit of everything, and a name that would be markup."""
    found = Results("activations", {"seeds": 3}, command="dnnkit bench activations --add 'a<b&c=x'")
    for number, name in enumerate(("relu", "tanh", "a<b&c")):
        for cache in ("warm", "cold"):
            for direction in ("forward", "backward"):
                case = {"activation": name, "backend": "numpy", "pass": direction, "cache": cache}
                facts = {"floor": 0.2, "of bandwidth": 0.2 / (number + 1)}
                found.rows.append(Row("elements", case, "ns per element", (10.0 - number, 10.1 - number), facts))
        case = {"activation": name, "backend": "numpy"}
        found.rows.append(Row("step", case, "µs per step", (5.0, 6.0, 50.0)))
        for quantity, values in (("iterations", (100.0, inf, inf)), ("seconds", (0.1, inf, inf))):
            case = {"task": "digits to 97%", "activation": name, "backend": "numpy", "quantity": quantity}
            found.rows.append(Row("learning", case, quantity, values, {"reached": 1, "of": 3}))
        line = {"seconds": [0.1, 0.2], "median": [0.9, 0.95], "low": [0.88, 0.94], "high": [0.91, 0.96]}
        found.curves.append({"curve": "accuracy", "activation": name, "backend": "numpy", **line})
        found.curves.append({"curve": "function", "activation": name, "x": [-1, 1], "y": [0, 1], "slope": [0, 1]})
    for number, kernel in enumerate(("copy", "dense forward", "update adam")):
        case = {"kernel": kernel, "backend": "numpy", "dtype": "float32", "size": "small"}
        facts = {"bytes": 100, "operations": 50 * number, "bandwidth": 1e10, "FLOP rate": 1e11, "of floor": 0.5}
        found.rows.append(Row("kernels", case, "µs per call", (1.0, 2.0), facts))
    found.identical.append(("relu forward", (1.0, 1.1), (1.2, 1.2)))
    found.warnings.append("the machine was noisy <b>")
    return found


class Checked(HTMLParser):
    """Collects that tags are closed in order, the text shown, and the references."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.references, self.ids = [], [], [], []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.references += [values[name] for name in ("src", "href", "xlink:href") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag not in VOID or tag in ("path", "rect", "use"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_and_needs_nothing_else(results):
    html = page(results)
    parsed = Checked()
    parsed.feed(html)
    assert parsed.open == []
    assert all(reference.startswith("#") for reference in parsed.references)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {reference[1:] for reference in parsed.references} <= set(parsed.ids)
    assert not re.search(r"@import|url\((?!#)|<link|fetch\(", html)
    text = " ".join(parsed.text)
    for words in (
        "dnnkit bench activations --add 'a<b&c=x'",
        "the machine was noisy <b>",
        str(results.machine["processor"]),
        "identical code: relu forward",
        "never",
    ):
        assert words in text
    assert html.count("<svg") == 5
    assert "<b>" not in html


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser(results, tmp_path_factory):
    """The page in a browser without a network."""
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium here")
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(page(results), encoding="utf-8")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        context = opened.new_context(offline=True)
        shown = context.new_page()
        shown.problems = []
        shown.on("pageerror", lambda error: shown.problems.append(str(error)))
        shown.on("console", lambda message: shown.problems.append(message.text))
        shown.on("requestfailed", lambda request: shown.problems.append(request.url))
        shown.goto(file.as_uri())
        yield shown
        opened.close()


def column(browser, place: int) -> list[str]:
    rows = "[...document.querySelector('section:has(input) table').tBodies[0].rows].filter(row => !row.hidden)"
    script = f"place => {rows}.map(row => row.cells[place].textContent)"
    return browser.evaluate(script, place)


@pytest.mark.extras
def test_a_click_sorts_by_number_and_another_turns_it(browser):
    head = browser.locator("section:has(input) thead th button", has_text="ns per element").first
    head.click()
    values = [float(text) for text in column(browser, 4)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (8.05, 10.1)  # as text, 10.1 would come first
    head.click()
    assert [float(text) for text in column(browser, 4)] == values[::-1]
    assert browser.locator("th[aria-sort=descending]").count() == 1
    assert browser.problems == []


@pytest.mark.extras
def test_words_keep_the_rows_that_have_them(browser):
    search = browser.locator("input").first
    search.fill("tanh warm")
    assert column(browser, 0) == ["tanh", "tanh"]
    search.fill("nothing has this")
    assert column(browser, 0) == []
    search.fill("")
    assert len(column(browser, 0)) == 12


@pytest.mark.extras
def test_every_plot_is_drawn_within_the_page(browser):
    boxes = browser.evaluate("[...document.querySelectorAll('svg')].map(s => [s.clientWidth, s.clientHeight])")
    width = browser.evaluate("document.documentElement.clientWidth")
    assert len(boxes) == 5
    assert all(100 < w <= width and h > 50 for w, h in boxes)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
