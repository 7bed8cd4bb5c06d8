"""Maps as pages: what the file holds, and what a browser without a network makes of it."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from fastparadime import plot
from fastparadime.plot import page

N = 600
HOSTILE = "<script>document.title = 'bad'</script><img src=x onerror=\"document.title = 'bad'\">"
# As .ci/run looks for them. Chrome for Testing, which comes with its driver, is called chrome.
NAMES = ("chrome", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--enable-unsafe-swiftshader", "--use-angle=swiftshader",
    "--window-size=1366,650",
)  # fmt: skip
LAPTOP = {"width": 1366, "height": 650, "screenWidth": 1366, "screenHeight": 650}


def corners() -> tuple[np.ndarray, np.ndarray]:
    """Four clusters at the corners of a square, and which of them each point is of."""
    labels = np.arange(N) % 4
    centers = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], float)
    return centers[labels] + 0.5 * np.random.default_rng(0).normal(size=(N, 2)), labels


def contents(path: Path) -> tuple[dict[str, Any], Any]:
    """The header of a page's data, and a reader of its arrays."""
    found = re.search(r'<script id="data"[^>]*>([^<]*)</script>', path.read_text("utf-8"))
    assert found is not None
    data = gzip.decompress(base64.b64decode(found[1]))
    length = int.from_bytes(data[:4], "little")
    base = -(-(4 + length) // 8) * 8

    def read(place: dict[str, Any]) -> np.ndarray:
        return np.frombuffer(data, place["dtype"], place["length"], base + place["offset"])

    return json.loads(data[4 : 4 + length]), read


def places(header: dict[str, Any], read: Any) -> np.ndarray:
    stored = read(header["positions"]).reshape(-1, 2)
    return np.array(header["low"]) + np.array(header["step"]) * stored


def test_a_page_holds_the_points_their_classes_and_columns(tmp_path: Path) -> None:
    Y, labels = corners()
    names = [f"point {i}" for i in range(N)]
    frame = pd.DataFrame({"name": names, "size": Y[:, 0], "even": labels % 2 == 0, "n": range(N)})
    frame.loc[5, "size"] = np.nan
    path = plot.html(Y, tmp_path / "map.html", labels=labels, hover=frame, title="A & B")
    assert path == tmp_path / "map.html"
    header, read = contents(path)
    np.testing.assert_allclose(places(header, read), Y, atol=np.ptp(Y) / 65535)
    np.testing.assert_array_equal(read(header["codes"]), labels)
    assert header["classes"] == ["0", "1", "2", "3"]
    assert len(header["colors"]) == 4
    kinds = {column["name"]: column["kind"] for column in header["columns"]}
    assert kinds == {
        "label": "number", "name": "text", "size": "number", "even": "codes", "n": "number",
    }  # fmt: skip
    arrays = {column["name"]: read(column["array"]) for column in header["columns"]}
    assert arrays["name"].tobytes().decode().split("\0") == names
    np.testing.assert_array_equal(arrays["size"], frame["size"].to_numpy(np.float32))
    np.testing.assert_array_equal(arrays["n"], frame["n"])
    even = header["columns"][3]
    assert np.array(even["values"])[arrays["even"]].tolist() == frame["even"].astype(str).tolist()
    assert "<title>A &amp; B</title>" in path.read_text("utf-8")


def test_columns_of_every_kind(tmp_path: Path) -> None:
    columns = {
        "large": [2**40] * 4, "too large": [2**60 + i for i in range(4)], "half": [0.5, 1.5, 2.5, 3],
        "tiny": [1e-60, 1, 2, 3], "some": [1, None, 3, 4], "words": ["b", None, "b", "b"],
        "all unknown": [None] * 4, "time": np.array(["2020-01-01"] * 4, "M8[D]"),
    }  # fmt: skip
    header, read = contents(plot.html(np.eye(4, 2), tmp_path / "m.html", hover=columns))
    found = {column["name"]: column for column in header["columns"]}
    types = {name: column["array"]["dtype"] for name, column in found.items()}
    assert types["large"] == types["tiny"] == types["some"] == "float64"
    assert types["half"] == "float32"
    assert found["too large"]["kind"] == "text"
    assert np.isnan(read(found["some"]["array"])).tolist() == [False, True, False, False]
    assert found["words"]["values"] == ["", "b"]
    assert found["all unknown"]["values"] == [""]
    assert found["time"]["values"] == ["2020-01-01"]


def test_lone_halves_of_characters(tmp_path: Path) -> None:
    labels = np.array(["lone \ud800", "whole"])[np.arange(N) % 2]
    path = plot.html(corners()[0], tmp_path / "map.html", labels=labels, title="of a\udcff")
    assert "<title>of a\ufffd</title>" in path.read_text("utf-8")


def test_scales_subsets_strays_and_unknown_labels(tmp_path: Path) -> None:
    Y, labels = corners()
    Y[7] = np.nan
    Y[9] = (1e4, 5)
    given = np.where(labels == 3, np.nan, Y[:, 0])
    path = plot.html(Y, tmp_path / "m.html", labels=given, subset_points=np.arange(N) != 2)
    header, read = contents(path)
    kept = np.delete(np.arange(N), [2, 7])
    np.testing.assert_array_equal(read(header["rows"]), kept)
    np.testing.assert_allclose(places(header, read), Y[kept], rtol=1e-6, atol=1e-4)
    assert header["view"][1] < 13
    assert "1 of 598 points lies outside" in path.read_text("utf-8")
    assert header["unknown"] == 256
    np.testing.assert_array_equal(read(header["codes"]) == 256, labels[kept] == 3)
    assert header["scale"] == pytest.approx([np.nanmin(given), np.nanmax(given)])
    words = np.array(["a", "b", None, "c10"], object)[labels]
    header, _ = contents(plot.html(Y, path, labels=words, background="black"))
    assert header["classes"] == ["a", "b", "c10", "unknown"]
    assert header["unknown"] == 3


def test_a_million_points_take_twelve_megabytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(1_000_000, 2))
    path = plot.html(Y, tmp_path / "m.html", labels=rng.integers(0, 50, 1_000_000))
    assert path.stat().st_size < 12e6


def test_the_same_map_is_the_same_file(tmp_path: Path) -> None:
    Y, labels = corners()
    files = [plot.html(Y, tmp_path / f"{i}.html", labels=labels).read_bytes() for i in range(2)]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"labels": [1, 2]}, ValueError, "each of the 4 points"),
        ({"hover": "name"}, TypeError, "hover must be a list"),
        ({"hover": {"a": [1, 2]}}, ValueError, r"hover\['a'\] must have one value"),
        ({"title": 3}, TypeError, "title must be text, not int"),
        ({"point_size": 0}, ValueError, "point_size"),
        ({"alpha": 2}, ValueError, "alpha"),
        ({"background": "nothing"}, ValueError, "background"),
    ],
)
def test_bad_arguments_write_nothing(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plot.html(np.eye(4, 2), tmp_path / "m.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_the_bundle_names_its_packages_and_their_licences() -> None:
    assets = Path(page.__file__).parent / "assets"
    lock = json.loads((assets / "package-lock.json").read_text("utf-8"))["packages"]
    wanted = json.loads((assets / "package.json").read_text("utf-8"))["dependencies"]
    bundle = (assets / "scatterplot.js").read_text("utf-8").splitlines()[0]
    licences = (assets / "LICENSES.txt").read_text("utf-8")
    packages = {path: found for path, found in lock.items() if path and not found.get("dev")}
    assert {f"node_modules/{name}" for name in wanted} <= packages.keys()
    for path, found in packages.items():
        name = path.removeprefix("node_modules/")
        assert f"{name} {found['version']}" in bundle
        assert f"{name} {found['version']} ({found['license']})" in licences
        assert found["license"] in ("MIT", "ISC")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium and its driver are not installed")
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    screen = {**LAPTOP, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    yield driver
    driver.quit()


class Opened:
    """A page in the browser, and what a reader does with it."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.browser = browser
        browser.get_log("performance")
        browser.get(path.as_uri())
        self.wait("document.body.dataset.ready === 'true'")

    def wait(self, condition: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(self.browser, 60)
        wait.until(lambda driver: driver.execute_script(f"return {condition}"), condition)

    def text(self, name: str) -> str:
        return str(self.browser.find_element("id", name).text)

    def pixels(self) -> np.ndarray:
        image = imread(io.BytesIO(self.browser.get_screenshot_as_png()))
        return np.asarray(image[..., :3])

    def place(self, row: int) -> tuple[int, int]:
        """Where a row is drawn in the page."""
        script = (
            f"const [x, y] = mapView.plot.getScreenPosition(mapView.order.indexOf({row}));"
            "const box = document.getElementById('canvas').getBoundingClientRect();"
            "return [x + box.left, y + box.top]"
        )
        x, y = self.browser.execute_script(script)
        return round(x), round(y)

    def pointer_to(self, place: tuple[int, int], click: bool = False) -> None:
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        actions = ActionBuilder(self.browser, duration=50)
        actions.pointer_action.move_to_location(place[0] + 3, place[1] + 3)
        actions.pointer_action.move_to_location(*place)
        if click:
            actions.pointer_action.click()
        actions.perform()


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    Y, labels = corners()
    words = np.array(["ant", "bee", HOSTILE, None], object)[labels]
    names = [f"point {i} {HOSTILE}" for i in range(N)]
    path = tmp_path_factory.mktemp("page") / "map.html"
    plot.html(
        Y, path, labels=words, hover={"name": names, HOSTILE: names}, title=f"Corners {HOSTILE}"
    )
    return Opened(browser, path)


def share(pixels: np.ndarray, color: Any) -> float:
    return float((np.abs(pixels - to_rgb(color)).max(axis=-1) < 0.2).mean())


def test_the_clusters_are_where_they_belong_and_all_in_view(opened: Opened) -> None:
    pixels = opened.pixels()
    assert pixels.shape[:2] == (650, 1366)
    height, width = (
        opened.browser.execute_script(f"return document.documentElement.scroll{side}")
        for side in ("Height", "Width")
    )
    assert (height, width) == (650, 1366)
    _, labels = corners()
    colors = ["#0072b2", "#e69f00", "#009e73", "#bfbfbf"]
    # Words are in natural order, so that the hostile name is the first class.
    for label, color in zip([2, 0, 1, 3], colors, strict=True):
        rows = np.flatnonzero(labels == label)[:50].tolist()
        found = np.array([opened.place(row) for row in rows])
        assert (found > 0).all()
        assert (found < (1366, 650)).all()
        x, y = found.mean(axis=0).astype(int)
        around = pixels[y - 40 : y + 40, x - 40 : x + 40]
        assert share(around, color) > 0.05
        others = [other for other in colors[:3] if other != color]
        assert max(share(around, other) for other in others) < 0.01
    assert share(pixels, "#fcfcfc") > 0.8


def test_the_point_under_the_pointer_is_told(opened: Opened) -> None:
    opened.pointer_to(opened.place(17))
    opened.wait("!document.getElementById('tooltip').hidden")
    told = opened.text("tooltip")
    assert f"point 17 {HOSTILE}" in told
    assert re.search(r"row\s+17$", told)
    opened.pointer_to((60, 330))
    opened.wait("document.getElementById('tooltip').hidden")


def test_search_finds_marks_and_goes_from_hit_to_hit(opened: Opened) -> None:
    from selenium.webdriver import Keys

    before = share(opened.pixels(), "#0072b2")
    query = opened.browser.find_element("id", "query")
    query.send_keys("Point 12")
    opened.wait("document.getElementById('status').textContent === '11 of 600 points found'")
    opened.wait("mapView.plot.get('selectedPoints').length === 11")
    query.send_keys(Keys.ENTER)
    opened.wait("document.getElementById('status').textContent.endsWith('found, at 1')")
    opened.wait("!document.getElementById('tooltip').hidden")
    assert "point 12 " in opened.text("tooltip")
    query.send_keys(Keys.SHIFT, Keys.ENTER)
    opened.wait("document.getElementById('status').textContent.endsWith('found, at 11')")
    assert share(opened.pixels(), "#0072b2") < before / 2
    query.send_keys(Keys.NULL, Keys.ESCAPE)
    opened.wait("document.getElementById('status').textContent === '600 points'")
    assert query.get_attribute("value") == ""


def test_classes_are_shown_and_hidden(opened: Opened) -> None:
    opened.browser.execute_script("mapView.look([0, 0], mapView.distance(), 0)")
    names = [entry.text for entry in opened.browser.find_elements("css selector", ".name")]
    assert names == [HOSTILE, "ant", "bee", "unknown"]
    box = opened.browser.find_elements("css selector", "#entries input")[1]
    box.click()
    opened.wait("document.getElementById('status').textContent === '450 points of 600'")
    opened.wait("mapView.plot.get('filteredPoints').length === 450")
    assert opened.browser.execute_script("return mapView.on") == [True, False, True, True]
    box.send_keys(" ")
    opened.wait("document.getElementById('status').textContent === '600 points'")
    only = opened.browser.find_elements("css selector", "#entries button")[2]
    assert only.get_attribute("aria-label") == "Only bee"
    opened.browser.execute_script("arguments[0].click()", only)
    opened.wait("document.getElementById('status').textContent === '150 points of 600'")
    for button in opened.browser.find_elements("css selector", "#all button")[::-1]:
        button.click()
    opened.wait("document.getElementById('status').textContent === '600 points'")


def test_keys_move_and_zoom(opened: Opened) -> None:
    from selenium.webdriver import ActionChains, Keys

    canvas = opened.browser.find_element("id", "canvas")
    opened.browser.execute_script("arguments[0].focus()", canvas)
    whole = opened.browser.execute_script("return mapView.distance()")
    ActionChains(opened.browser).send_keys("+").perform()
    opened.wait(f"Math.abs(mapView.plot.get('cameraDistance') - {whole / 1.5}) < 1e-3")
    ActionChains(opened.browser).send_keys(Keys.ARROW_RIGHT).perform()
    opened.wait("mapView.plot.get('cameraTarget')[0] > 0.1")
    ActionChains(opened.browser).send_keys("0").perform()
    opened.wait(f"Math.abs(mapView.plot.get('cameraDistance') - {whole}) < 1e-3")
    opened.wait("Math.abs(mapView.plot.get('cameraTarget')[0]) < 1e-3")


def test_nothing_is_loaded_and_no_label_runs(opened: Opened) -> None:
    assert opened.browser.title == f"Corners {HOSTILE}"
    assert opened.browser.find_elements("css selector", "img, dd script, li script") == []
    messages = [json.loads(entry["message"]) for entry in opened.browser.get_log("performance")]
    sent = {
        message["message"]["params"]["request"]["url"].split(":")[0]
        for message in messages
        if message["message"]["method"] == "Network.requestWillBeSent"
    }
    assert "file" in sent
    assert sent & {"http", "https", "ws", "wss"} == set()
    severe = [entry for entry in opened.browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []


def test_scales_have_a_color_bar(browser: Any, tmp_path: Path) -> None:
    Y, _ = corners()
    values = np.where(np.arange(N) % 7 == 0, np.nan, Y[:, 1])
    page = Opened(browser, plot.html(Y, tmp_path / "m.html", values=values, background="black"))
    assert page.text("high") == f"{np.nanmax(values):.6g}"
    assert page.text("low") == f"{np.nanmin(values):.6g}"
    assert page.text("unknown") == "unknown"
    assert share(page.pixels()[100:, :900], "black") > 0.8


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_and_equal_points_open(browser: Any, tmp_path: Path, n: int) -> None:
    page = Opened(browser, plot.html(np.ones((n, 2)), tmp_path / "m.html"))
    assert page.text("failure") == ""
    x, y = page.place(0)
    assert share(page.pixels()[y - 3 : y + 4, x - 3 : x + 4], "#0072b2") > 0.1
