"""The viewer in a real browser: it can be read and steered, and nothing that an episode holds ever runs."""

import json
import re
import time

import pytest

from browser_help import Witness, browser, serving
from rlef.runs import TRACES
from rlef.views.viewer.query import PAGE, Query
from rlef.views.viewer.server import asset
from rlef.views.viewer.static import write_static
from viewer_fakes import TRICKS, attacked, measured, rows, whole, write


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def viewer(tmp_path_factory):
    with serving(whole(tmp_path_factory.mktemp("run")).path) as started:
        yield started


@pytest.fixture(scope="module")
def one_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    return write_static(whole(folder / "run"), folder / "view.html", Query()).as_uri()


@pytest.fixture
def look(chromium):
    """Opens pages, and looks after each that nothing happened that should not."""
    opened = []

    def open_page(address, **options):
        witness = Witness(chromium, **options)
        witness.page.goto(address)
        opened.append((witness, address))
        return witness.page

    yield open_page
    for witness, address in opened:
        witness.assert_innocent(address.partition("?")[0])
        witness.close()


def until(page, condition: str) -> None:
    """Wait until a condition holds. The policy of the page forbids Playwright's own way."""
    end = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(10)


def shown(page) -> str:
    """Key of the episode that can be seen."""
    until(page, "document.querySelectorAll('article:not([hidden])').length === 1")
    return page.get_attribute("article:not([hidden])", "data-key")


def arrives(page, key) -> None:
    for selector in ("article:not([hidden])", ".row.open"):
        until(page, f"document.querySelector('{selector}')?.dataset.key === {json.dumps(key)}")


def listed(page) -> list[str]:
    rows = page.locator("#list li:not([hidden]) > .row")
    return rows.evaluate_all("rows => rows.map(row => row.dataset.key)")


def total(page, number) -> None:
    until(page, f"document.querySelector('#total').textContent === '{number}'")


@pytest.fixture(params=["served", "static"])
def anywhere(request, look):
    """The same page, served and as one file."""
    if request.param == "served":
        return look(request.getfixturevalue("viewer").url)
    page = look(request.getfixturevalue("one_file"))
    until(page, "location.hash.startsWith('#?') || document.querySelector('.row.open')")
    return page


def test_keys_walk_through_the_episodes_and_the_address_follows(anywhere):
    page = anywhere
    keys = listed(page)
    assert len(keys) == 28 and shown(page) == keys[0]
    for key, at in (("j", 1), ("j", 2), ("k", 1), ("G", -1), ("g", 0)):
        page.keyboard.press(key)
        arrives(page, keys[at])
        assert keys[at] in page.url
    page.go_back()
    arrives(page, keys[-1])
    page.focus(".row.open")
    page.keyboard.press("ArrowUp")
    arrives(page, keys[-2])
    assert page.evaluate("document.activeElement.dataset.key") == keys[-2]


def test_filters_are_in_the_address_and_next_stays_among_them(anywhere):
    page = anywhere
    page.select_option("select[name=outcome]", "solved")
    total(page, 8)
    page.select_option("select[name=phase]", "train")
    total(page, 2)
    assert "outcome=solved" in page.url and "phase=train" in page.url
    assert listed(page) == ["traces.0", "traces.1"]
    arrives(page, "traces.0")
    page.keyboard.press("Escape")  # leaves the choice
    page.keyboard.press("j")
    arrives(page, "traces.1")
    assert page.text_content("article:not([hidden]) .place") == "2 of 2"
    address = page.url
    page.keyboard.press("x")
    total(page, 28)
    arrives(page, "traces.1")
    page.goto("about:blank")
    page.goto(address)  # a link that was kept
    total(page, 2)
    arrives(page, "traces.1")
    assert page.input_value("select[name=phase]") == "train"


ADDRESSES = (
    "outcome=unsolved",
    "verdict=wrong_answer&turns=3",
    "change=broken",
    "phase=train&from=2&to=5",
    "condition=hidden_feedback&outcome=solved",
    "q=INDEXerror",
    "q=no+such+thing",
    "q=public+tests",  # words of the page
    "q=toy/train/fixed",
    "reward=1&constructor=x&outcome=",
    "sort=-reward",
    "sort=turns",
    "sort=problem&outcome=unsolved",
    "sort=-played&stop=turn_limit",
    "verdict=invalid&verdict=time_limit",
)


def test_the_file_finds_what_the_service_finds(look, viewer, one_file):
    page = look(one_file)
    for address in ADDRESSES:
        page.goto(f"{one_file}#?{address}")
        hits = viewer.pages.find(Query.parse(address))
        total(page, hits.total)
        assert listed(page) == [entry.key for entry in hits.entries(1)], address
        for name in ("outcome", "verdict", "change", "stop", "turns", "phase", "condition"):
            labels = page.eval_on_selector_all(
                f"select[name={name}] option", "all => all.map(o => [o.value, o.textContent])"
            )
            counts = {value: int(re.search(r"\((\d+)\)", label)[1]) for value, label in labels if value}
            assert counts == dict(hits.counts[name]), (address, name)


def test_typing_searches_without_losing_a_letter_or_the_caret(anywhere):
    page = anywhere
    page.keyboard.press("/")
    page.keyboard.type("toy/train/broken", delay=15)
    total(page, 4)
    assert page.input_value("#q") == "toy/train/broken"
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("Home")
    page.keyboard.type("!")
    total(page, 0)
    assert page.input_value("#q") == "!toy/train/broken" and page.evaluate("q.selectionStart") == 1
    page.keyboard.press("Enter")
    page.keyboard.press("j")  # nowhere to go, and no letter in the box
    assert page.input_value("#q") == "!toy/train/broken"


def test_turns_help_and_copied_links(look, viewer):
    page = look(viewer.url + "&e=traces.2", permissions=["clipboard-read", "clipboard-write"])
    tops = "[...document.querySelectorAll('.turn')].map(t => Math.round(t.getBoundingClientRect().top))"
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.id") == "e-traces.2-turn-1"
    first = page.evaluate(tops)
    page.keyboard.press("n")
    second = page.evaluate(tops)
    assert page.evaluate("document.activeElement.id") == "e-traces.2-turn-2" and second[0] < first[0]
    page.keyboard.press("p")
    assert page.evaluate("document.activeElement.id") == "e-traces.2-turn-1"
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("j")
    assert shown(page) == "traces.2"  # keys rest while the help is open
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    until(page, "document.querySelector('.copy').textContent === 'Copied'")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith("/?e=traces.2") and viewer.token not in link


def test_tokens_are_shaded_on_demand_and_the_text_stays_the_same(anywhere):
    page = anywhere
    page.select_option("select[name=phase]", "train")
    total(page, 7)
    arrives(page, "traces.0")
    said = "article:not([hidden]) pre.said"
    before = page.text_content(said)
    assert page.locator(f"{said} span").count() == 0
    page.keyboard.press("s")
    page.wait_for_selector(f"{said} span", state="attached")
    row = rows()[0]["turns"][0]
    assert page.locator(f"{said} span").count() == len(row["logprobs"]) and page.text_content(said) == before
    assert page.get_attribute(f"{said} span", "title") == "log-probability -0.25, chance 0.78"
    assert page.get_attribute(f"{said} span", "class") == "p1"
    page.keyboard.press("s")
    assert page.get_attribute(f"{said} span", "title") == f"advantage {row['advantage']}"
    assert page.get_attribute(f"{said} span", "class") == "up3"
    page.keyboard.press("j")
    arrives(page, "traces.1")
    assert page.locator(f"{said} span").count() > 0  # and it stays on for the next one
    page.keyboard.press("s")
    assert page.locator(f"{said} span").count() == 0


def test_pieces_of_text_outside_the_basic_plane_are_cut_where_a_browser_counts(look, tmp_path):
    row = rows()[0]
    text = "\U0001f600é\ud800\x1b漢\r\nend"
    row["turns"][0] |= {
        "text": text,
        "offsets": list(range(8)),
        "logprobs": [-0.1 * n for n in range(8)],
    }
    with serving(write(tmp_path, TRACES, [row]).path) as viewer:
        page = look(viewer.url)
        page.keyboard.press("s")
        pieces = page.eval_on_selector_all("pre.said span", "all => all.map(one => one.textContent)")
    assert pieces == ["\U0001f600", "é", "\\ud800", "\\x1b", "漢", "\\x0d", "\n", "end"]


def test_new_episodes_are_offered_and_shown(look, tmp_path):
    run = write(tmp_path, TRACES, rows()[:2])
    with serving(run.path) as viewer:
        page = look(viewer.url)
        total(page, 2)
        run.append(TRACES, rows()[2:])
        page.wait_for_selector("#news:not([hidden])", timeout=20_000)
        assert page.text_content("#news") == "show 5 more"
        assert page.text_content("#total") == "2"  # nothing moves under whoever reads
        page.keyboard.press("r")
        total(page, 7)


def test_pages_of_the_list_turn_and_an_episode_brings_its_page(look, tmp_path):
    with serving(write(tmp_path, TRACES, rows() * 25).path) as viewer:  # 175 episodes
        page = look(viewer.url)
        keys = listed(page)
        page.click(".pages a[rel=next]")
        until(page, "document.querySelector('#list').dataset.page === '2'")
        assert not set(keys) & set(listed(page)) and shown(page) == keys[0]
        page.click(f".row[data-key='{listed(page)[0]}']")
        arrives(page, f"traces.{PAGE}")
        page.keyboard.press("k")
        arrives(page, f"traces.{PAGE - 1}")
        assert listed(page) == keys


@pytest.mark.parametrize("mode", ["served", "static"])
def test_hostile_episodes_run_nothing_ask_nobody_and_are_shown_as_text(look, tmp_path, mode):
    run = attacked(tmp_path / "run")
    with serving(run.path) as viewer:
        static = write_static(run, tmp_path / "x.html", Query()) if mode == "static" else None
        page = look(static.as_uri() if static else viewer.url)
        keys = listed(page)
        entries = {entry.key: entry for entry in viewer.pages.index.snapshot().entries}
        assert len(keys) == len(entries) > len(TRICKS)
        for key in keys:
            arrives(page, key)
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            trick = entries[key].facts.problem_id
            if trick in TRICKS[:9]:  # those that are not written as escapes
                for place in ("h1", ".prompt pre", ".feedback pre", ".tests", ".hidden"):
                    assert trick in page.text_content(f"article:not([hidden]) {place} >> nth=0"), place
            page.keyboard.press("s")
            page.keyboard.press("j")
        assert page.evaluate("getComputedStyle(document.body).display") != "none"


def test_scripts_that_the_policy_does_not_know_are_refused(chromium, viewer, one_file):
    for address in (viewer.url, one_file):
        witness = Witness(chromium)
        witness.page.goto(address)
        refused = witness.page.evaluate("""() => {
            const script = document.createElement('script');
            try { script.textContent = 'window.__hacked = 1'; document.body.append(script); }
            catch (error) { return error.name; }
            return 'made';
        }""")
        html = witness.page.evaluate(
            "() => { try { document.body.innerHTML = '<p>'; } catch (error) { return error.name; } }"
        )
        assert refused == "TypeError" and html == "TypeError"  # no text becomes code or HTML
        assert witness.page.evaluate("window.__hacked") is None
        witness.close()


def test_it_is_all_there_without_javascript(chromium, viewer, one_file):
    witness = Witness(chromium, java_script_enabled=False)
    page = witness.page
    page.goto(viewer.url + "&phase=train")
    page.locator("select[name=outcome]").select_option("unsolved")
    with page.expect_navigation():
        page.click("button.apply")
    assert "outcome=unsolved" in page.url and page.locator(".row").count() == 4
    with page.expect_navigation():
        page.click("a[rel=next]")
    assert page.text_content(".place") == "2 of 4"
    page.goto(one_file)
    page.click(".row[data-key='traces.1']")
    assert page.locator("article:visible").count() == 1
    assert page.locator("article:visible h1").text_content().startswith("toy/train/fixed")
    assert witness.troubles == []
    witness.close()


def test_nothing_moves_while_the_page_is_made(chromium, viewer):
    witness = Witness(chromium)
    witness.page.add_init_script("""
        window.__moved = 0;
        new PerformanceObserver(list => { for (const e of list.getEntries()) window.__moved += e.value; })
            .observe({type: 'layout-shift', buffered: true});
    """)
    page = witness.page
    page.goto(viewer.url)
    page.wait_for_timeout(300)
    assert page.evaluate("window.__moved") < 0.01
    places = """['.top', '#filters', '.row', '.steps', '.place', 'h1'].map(what => {
        const at = document.querySelector(what).getBoundingClientRect();
        return [at.left, at.top, what === 'h1' || at.width];
    })"""
    before = page.evaluate(places)
    for key in listed(page)[1:5]:
        page.keyboard.press("j")
        arrives(page, key)
        assert page.evaluate(places) == before
    witness.close()


def test_print_shows_the_episode_alone_and_whole(look, viewer):
    page = look(viewer.url + "&e=traces.1")
    page.emulate_media(media="print")
    assert not page.is_visible("aside") and not page.is_visible(".steps") and page.is_visible("article")


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_has_the_contrast_that_wcag_asks_for(theme):
    blocks = re.findall(r":root \{(.*?)\}", asset("viewer.css"), re.DOTALL)[:2]
    colours = [dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in blocks]
    found = colours[0] | colours[theme]
    verdicts = "accepted wrong runtime compile time idle memory output invalid judge".split()  # noqa: SIM905
    grounds = ("paper", "card", "soft", "lit")
    for ink in ("ink", "quiet", "link", *verdicts):
        for ground in grounds:
            assert contrast(found[ink], found[ground]) >= 4.5, (
                ink,
                ground,
                contrast(found[ink], found[ground]),
            )
    for ground in (
        "add",
        "del",
        "add-mark",
        "del-mark",
        "p1",
        "p2",
        "p3",
        "up1",
        "up2",
        "up3",
        "down1",
        "down2",
        "down3",
    ):
        assert contrast(found["ink"], found[ground]) >= 4.5, ground
    assert contrast(found["p4-ink"], found["p4"]) >= 4.5
    assert contrast(found["inside"], found["accepted"]) >= 4.5
    for ground in grounds:  # borders of fields, marks of state
        assert contrast(found["line"], found[ground]) >= 3 or ground in ("soft", "lit"), ground


def test_the_list_of_an_evaluation_under_way_says_so(look, tmp_path):
    with serving(write(tmp_path, "episodes-after.jsonl", measured("multi_turn")[:0]).path) as viewer:
        page = look(viewer.url)
        assert "No episodes" in page.text_content("#list")
