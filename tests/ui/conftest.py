"""The page, served once for all tests, with small probes."""

import pytest
from ui_help import FACTS, PATIENCE
from visitor import Visitor


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    from unlearning.law.experiment import Sizes
    from unlearning.lwf.outcome import Sizes as LearnSizes
    from unlearning.ui.state import Shared

    small = Sizes(retained=40, reasoning=2, held_out=4, curve=4)
    few = LearnSizes(retained=20, reasoning=1, held_out=2, curve=8, answers=2)
    shared = Shared(tmp_path_factory.mktemp("ui") / ".cache" / "runs", sizes=small, learn_sizes=few)
    shared.lm(shared.names[0])
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def demo(shared):
    """The page, served with the options of the real one."""
    from unlearning.ui.launch import launch
    from unlearning.ui.page import build

    demo = build(shared)
    launch(demo, shared, "127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield demo
    demo.close(verbose=False)


@pytest.fixture(scope="session")
def url(demo):
    """Where the page is served."""
    return demo.local_url


@pytest.fixture
def client(url):
    from gradio_client import Client

    return Client(url, verbose=False)


@pytest.fixture(scope="session")
def told(url):
    """A finished wash of FACTS: all that its stream told, in order."""
    from gradio_client import Client

    job = Client(url, verbose=False).submit(FACTS, api_name="/wash")
    job.result(timeout=PATIENCE)
    return job.outputs()


@pytest.fixture(scope="module")  # not longer: while it is open, asyncio.run is refused
def browser():
    from tests.measure.served import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def visitor(browser, url):
    visitor = Visitor(browser, url)
    yield visitor
    visitor.page.context.close()
    assert visitor.faults == []
