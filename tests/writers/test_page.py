"""The page of a run: safe, whole without a script, and alive with one, in a real browser."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.history import Skipped
from analyzer.ledger.outcome import Outcome
from analyzer.models.demand import Step
from analyzer.placement import GroupUse, Packing
from analyzer.recommend import Recommendation
from analyzer.report import MONTHS, Landing, Report
from analyzer.writers.markup import element, join
from analyzer.writers.page import SHOWN, write_page
from tests.browser import Browser
from tests.samples import MIB, recommendation, ref, report, resources

HOSTILE = "</template></script><script>window.stolen=1</script><img src=x onerror=stolen=1>\"'&"


def change(name: str, cpu: str = "100m", namespace: str = "shop") -> Recommendation:
    """A container of the workload `name` whose CPU request falls from 1 core."""
    made = recommendation(resources("1", "1Gi"), resources(cpu, "512Mi"), of=ref(workload=name))
    return replace(made, ref=replace(made.ref, namespace=namespace))


def page_of(of: Report) -> str:
    return write_page(of)["index.html"].decode()


def opened(browser: Browser, folder: Path, of: Report, **how: object) -> Browser:
    """The browser with the page of `of` open."""
    path = folder / "index.html"
    path.write_text(page_of(of), encoding="utf-8")
    browser.open(path.as_uri(), **how)  # type: ignore[arg-type]  # script and width
    return browser


def names(browser: Browser) -> list[str]:
    found: list[str] = browser.run(
        "[...document.querySelectorAll('#rows a')].map(a => a.textContent)"
    )
    return found


THREE = report(
    change("api", "500m"),
    change("web", "200m"),
    replace(change("db", "1", namespace="data"), proposed=resources("1", "1Gi")),
    skipped=(Skipped(ref("x", "idle"), "no usage was observed in the window"),),
)


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.tags += [name for name, _ in attrs if name.startswith("on")]


@given(st.text(max_size=40), st.text(max_size=40))
def test_text_never_becomes_markup(content: str, attribute: str) -> None:
    """Whatever a name is: it is text in its element, or the value of its attribute."""
    made = element("p", content, title=attribute)
    assert _Tags(made).tags == ["p"]
    assert _Tags(join([made, content])).tags == ["p"]


def test_names_from_strangers_run_nothing(browser: Browser, tmp_path: Path) -> None:
    """Markup in every text of a report is shown as it is; no element comes of it."""
    hostile = replace(
        change(HOSTILE, namespace=HOSTILE),
        notes=(HOSTILE,),
        trail={"cpu_request": (Step(HOSTILE, HOSTILE, HOSTILE, HOSTILE),)},
    )
    of = replace(
        report(hostile, skipped=(Skipped(ref(HOSTILE), HOSTILE),)),
        warnings=(HOSTILE,),
        verdict=HOSTILE,
        landings=(Landing(str(hostile.ref), "advice", HOSTILE, file=HOSTILE, path=HOSTILE),),
        files={str(hostile.ref): HOSTILE},
    )
    assert _Tags(page_of(of)).tags.count("script") == 1
    page = opened(browser, tmp_path, of)
    page.run("document.querySelector('#rows a').click()")
    assert page.run("document.getElementById('detail').open")
    assert page.run("typeof stolen") == "undefined"
    assert HOSTILE in page.run("document.getElementById('detail').textContent")


def test_the_page_asks_for_nothing_but_its_charts(browser: Browser, tmp_path: Path) -> None:
    """No network, no complaint: one file, and the charts beside it."""
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "cluster.png").write_bytes(b"")
    page = opened(browser, tmp_path, replace(THREE, files={"cluster": "charts/cluster.png"}))
    assert all(url.startswith(tmp_path.as_uri()) for url in page.requested)
    assert page.complaints == []


def test_without_a_script_it_is_a_table(browser: Browser, tmp_path: Path) -> None:
    """Every container with its amounts and reasons, what was skipped, and no dead control."""
    page = opened(browser, tmp_path, THREE, script=False)
    page.call("Emulation.setScriptExecutionDisabled", value=False)  # to ask, after it has loaded
    text = page.run("document.body.innerText")
    assert names(page) == ["shop/web", "shop/api", "data/db"]
    assert "1 → 200m" in text and "Skipped: 1 container" in text
    assert page.run("getComputedStyle(document.getElementById('controls')).display") == "none"


def test_rows_are_sorted_filtered_and_searched(browser: Browser, tmp_path: Path) -> None:
    """By the change of CPU, by namespace, by what becomes of them, and by any word."""
    page = opened(browser, tmp_path, THREE)
    head = "document.querySelectorAll('thead button')[2]"
    page.run(f"{head}.click()")
    assert names(page) == ["shop/web", "shop/api", "data/db"]
    page.run(f"{head}.click()")
    assert names(page) == ["data/db", "shop/api", "shop/web"]
    assert page.run(f"{head}.parentElement.getAttribute('aria-sort')") == "descending"

    def choose(control: str, value: str) -> list[str]:
        page.run(f"document.getElementById('{control}').value = '{value}'")
        page.run("document.getElementById('controls').dispatchEvent(new Event('input'))")
        return names(page)

    assert choose("namespace", "data") == ["data/db"]
    assert choose("namespace", "") == ["data/db", "shop/api", "shop/web"]
    assert choose("way", "changed") == ["shop/api", "shop/web"]
    assert choose("search", "API") == ["shop/api"]
    assert page.run("document.getElementById('count').textContent") == "1 of 3 containers"


def test_the_keyboard_walks_opens_and_closes(browser: Browser, tmp_path: Path) -> None:
    """Down, Enter, Escape: back on the row one came from; a slash searches."""
    page = opened(browser, tmp_path, THREE)
    for key in ("j", "j", "Enter"):
        page.press(key)
    assert wait(page, "document.getElementById('detail').open")
    assert "shop / api" in page.run("document.querySelector('#detail h2').textContent")
    page.press("Escape")
    assert wait(page, "!document.getElementById('detail').open")
    assert wait(page, "location.hash === ''")
    assert page.run("document.activeElement.dataset.ref") == "shop/Deployment/api/app"
    page.press("/")
    assert page.run("document.activeElement.id") == "search"


def wait(page: Browser, script: str) -> object:
    """The value of `script` once it holds; events of a page take a moment."""
    for _ in range(100):
        value: object = page.run(script)
        if value:
            return value
        time.sleep(0.05)
    return None


def test_a_link_opens_a_container(browser: Browser, tmp_path: Path) -> None:
    """The address of a row, sent to somebody else, shows them the same."""
    path = tmp_path / "index.html"
    path.write_text(page_of(THREE), encoding="utf-8")
    browser.open(path.as_uri() + "#shop/Deployment/web/app")
    assert wait(browser, "document.getElementById('detail').open")
    assert "shop / web" in browser.run("document.querySelector('#detail h2').textContent")
    why = browser.run("[...document.querySelectorAll('#detail ul li')].map(li => li.textContent)")
    assert [line.partition(":")[0] for line in why[:2]] == ["CPU request", "memory request"]


@pytest.mark.parametrize("script", [True, False], ids=["script", "none"])
@pytest.mark.parametrize("width", [360, 390, 768, 1089, 1200, 1441])
def test_no_width_cuts_the_page(browser: Browser, tmp_path: Path, width: int, script: bool) -> None:
    """Neither the page nor its table has to be moved sideways, whatever the names."""
    amounts = [resources(f"{n}2345m", f"{n}23456Mi", f"{n}2345m", f"{n}23456Mi") for n in (1, 2)]
    wide = recommendation(*amounts, of=ref(workload="c"))
    long = report(change("w" * 63, namespace="n" * 63), change("b"), wide)
    page = opened(browser, tmp_path, long, width=width, script=script)
    for part in ("document.documentElement", "document.querySelector('.scroll')"):
        assert page.run(f"{part}.scrollWidth - {part}.clientWidth") == 0


def test_a_card_names_its_amounts_as_the_table_does(browser: Browser, tmp_path: Path) -> None:
    """Where there is no head above a number, it says what it is."""
    page = opened(browser, tmp_path, THREE, width=360)
    assert page.run("getComputedStyle(document.querySelector('#rows tr')).display") == "grid"
    heads = page.run(
        "[...document.querySelectorAll('#table th[data-sort]')].map(h => h.textContent)"
    )
    named = (
        "[...document.querySelectorAll('#rows tr:first-child td.number')]"
        ".map(cell => JSON.parse(getComputedStyle(cell, '::before').content))"
    )
    assert page.run(named) == heads[1:6]


def test_charts_of_nodes_and_of_months_stand_where_they_belong(
    browser: Browser, tmp_path: Path
) -> None:
    """The one beside the table of groups, the other behind the container."""
    use = GroupUse("big", 2, 9, 16, 64, 8, 4, 32, 16, 2, 1, 1)
    name = "shop/Deployment/web/app"
    files = {"packing": "charts/packing.png", f"{MONTHS}{name}": "charts/months/web.png"}
    page = opened(browser, tmp_path, replace(THREE, packing=Packing((use,)), files=files))
    assert page.run("document.querySelector('main img').alt") == "Groups of nodes"
    behind = f"document.querySelector('template[data-for=\"{name}\"]').content"
    assert page.run(f"{behind}.querySelector('img').alt") == f"Reviews of {name} over months"


def test_dark_and_light_follow_the_system_and_the_button(browser: Browser, tmp_path: Path) -> None:
    """The system's choice holds until the reader makes another."""
    ink = "getComputedStyle(document.body).color"
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", features=dark)
    page = opened(browser, tmp_path, THREE)
    assert page.run(ink) == "rgb(232, 237, 244)"
    page.run("document.getElementById('theme').click()")
    assert page.run(ink) == "rgb(26, 31, 43)"
    page.run("try { localStorage.clear() } catch {}")
    page.call("Emulation.setEmulatedMedia", features=[])


def test_ten_thousand_rows_are_laid_out_as_needed(browser: Browser, tmp_path: Path) -> None:
    """Two hundred at first, more on scrolling, and all of them are searched."""
    many = report(*(change(f"web-{k:05}") for k in range(10_000)))
    page = opened(browser, tmp_path, many)
    assert page.run("document.getElementById('count').textContent") == "10000 of 10000 containers"
    assert len(names(page)) < 1000
    before = len(names(page))
    page.run("window.scrollTo(0, document.body.scrollHeight)")
    assert wait(page, f"document.querySelectorAll('#rows tr').length > {before}")
    page.run("document.getElementById('search').value = 'web-09999'")
    page.run("document.getElementById('controls').dispatchEvent(new Event('input'))")
    assert names(page) == ["shop/web-09999"]


def test_five_hundred_workloads_fit_into_five_megabytes() -> None:
    """With three weeks of days, and a trail of eight steps with a sentence each per amount."""
    step = Step("calibrate", "1234Mi", "1345Mi", "in 8 past reviews here 2.4% of peaks " * 3)
    some = [replace(change(f"web-{k}"), notes=("a note " * 10,)) for k in range(500)]
    some = [replace(r, trail=dict.fromkeys(r.trail, (step,) * 8)) for r in some]
    days = {str(r.ref): {"cpu": (0.123,) * 21, "memory": (123.4 * MIB,) * 21} for r in some}
    # A dict of plain text keys.
    content = write_page(replace(report(*some), days=days))["index.html"]  # type: ignore[arg-type]
    assert len(content) <= 5 * 2**20
    assert len(some) <= SHOWN


def test_the_chart_that_is_not_there_is_no_broken_image(browser: Browser, tmp_path: Path) -> None:
    """A page that was sent alone shows what it holds, and no hole."""
    files = {"shop/Deployment/web/app": "charts/web.png"}
    page = opened(browser, tmp_path, replace(THREE, files=files))
    page.run("location.hash = 'shop/Deployment/web/app'")
    assert wait(page, "document.getElementById('detail').open")
    assert wait(page, "!document.querySelector('#detail img')")


def test_text_has_enough_contrast_in_light_and_dark() -> None:
    """4.5:1 for all text, as WCAG 2 asks of small type."""
    style = page_of(THREE)
    for block in re.findall(r"\{([^{}]*--background:[^{}]*)\}", style):
        colors = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
        for name in ("ink", "muted", "more", "new", "link"):
            assert contrast(colors[name], colors["background"]) >= 4.5, (name, colors)


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    one, two = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (one + 0.05) / (two + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_control_and_column_has_a_name(browser: Browser, tmp_path: Path) -> None:
    """A screen reader can say what each is; the page says its language."""
    page = opened(browser, tmp_path, THREE)
    nameless = (
        "[...document.querySelectorAll('input, select, button')]"
        ".filter(e => !(e.textContent.trim() || e.labels?.length)).length"
    )
    assert page.run(nameless) == 0
    assert page.run("document.documentElement.lang") == "en"
    assert page.run("document.querySelectorAll('#table thead th:not([scope=col])').length") == 0
    assert page.run("document.querySelectorAll('img:not([alt])').length") == 0


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (800, "dark"), (1600, "light")])
def test_axe_finds_nothing_that_keeps_people_out(
    browser: Browser, axe: str, tmp_path: Path, width: int, scheme: str
) -> None:
    """Neither in the table nor in what lies behind a row: contrast, names, roles, order."""
    use = GroupUse("big", 2, 9, 16, 64, 8, 4, 32, 16, 2, 1, 1, 12.5, 0.0)
    (first, *_), stays = THREE.recommendations, replace(THREE, packing=Packing((use,)))
    outcome = Outcome(
        first.ref,
        merged=datetime(2026, 11, 1, tzinfo=UTC),
        origin="proposed",
        before=first.current,
        now=first.proposed,
        weeks=2.0,
        promised={"memory_request": 0.1},
        happened={"memory_request": 0.0},
        kills=1,
        throttled=0.2,
    )
    asked = {"name": "prefers-color-scheme", "value": scheme}
    browser.call("Emulation.setEmulatedMedia", features=[asked])
    page = opened(browser, tmp_path, replace(stays, outcomes=(outcome,)), width=width)
    assert "0% (10%)" in page.run("document.body.textContent")
    assert "Freed a month" in page.run("document.body.textContent")
    for step in ("true", "document.querySelector('#rows a').click()"):
        page.run(step)
        page.call("Runtime.evaluate", expression=axe)
        found = page.run(
            "axe.run(document).then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html))"
        )
        assert found == []
    page.call("Emulation.setEmulatedMedia", features=[])


def test_a_printed_page_holds_every_row(browser: Browser, tmp_path: Path) -> None:
    """Also those that were not laid out yet, and no control."""
    many = report(*(change(f"web-{k:03}") for k in range(300)))
    page = opened(browser, tmp_path, many)
    assert len(names(page)) < 300
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    page.call("Emulation.setEmulatedMedia", media="print")
    assert len(names(page)) == 300
    assert page.run("getComputedStyle(document.getElementById('controls')).display") == "none"
    page.call("Emulation.setEmulatedMedia", media="")


def test_what_is_held_is_counted_as_the_summary_counts_it() -> None:
    """A container whose CPU changes and whose memory stays is a change, and no held one."""
    step = Step("keep", "900m", "1", "too small a change")
    kept = recommendation(resources("1"), resources("1"), of=ref(workload="kept"))
    both = replace(change("both"), trail={"memory_request": (step,)})
    text = page_of(report(replace(kept, trail={"cpu_request": (step,)}), both))
    assert "1 held back" in text
    assert "Held: 1 container" in text
