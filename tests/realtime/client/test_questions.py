"""Tests how the client asks for single topics: in which order, how fast, and when it asks the detail endpoint."""

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

START = """async () => {
  const { Questions } = await import("/questions.js");
  Object.assign(window, { frames: [], answers: [], resolving: [], ends: {}, most: 0 });
  window.questions = new Questions({
    send: () => (frame) => frames.push(frame),
    resolve: (topic) => new Promise((resolve, reject) => {
      resolving.push(topic);
      ends[topic] = { resolve, reject };
    }),
    onAnswer: (topic, record) => answers.push(`${topic} ${record?.status ?? "none"}`),
    ended: () => false,
  });
}"""
TOPICS = [f"job:{number}" for number in range(250)]


@pytest_asyncio.fixture(loop_scope="module")
async def page(module_page: Page) -> Page:
    await module_page.clock.install(time=0)
    await module_page.clock.pause_at(1000)
    await module_page.evaluate(START)
    return module_page


async def asked(page: Page) -> list[list[str]]:
    """Return the topics of each question so far."""
    frames: list[dict[str, Any]] = await page.evaluate("frames")
    return [frame["topics"] for frame in frames if frame["type"] == "subscribe"]


async def answer(page: Page, status: str) -> None:
    """Answer the open question."""
    await page.evaluate(
        """(status) => {
          const { id, topics } = frames.at(-1);
          questions.answered({ id, place: "e.1.f", records: topics.map((topic) => ({ topic, status })) });
        }""",
        status,
    )


async def test_many_topics_are_asked_for_in_order_with_at_most_eight_frames_a_second(page: Page) -> None:
    await page.evaluate("(topics) => questions.ask(topics)", TOPICS)
    for count in (1, 2, 3):
        assert await asked(page) == [TOPICS[100 * number : 100 * (number + 1)] for number in range(count)]
        await answer(page, "DONE")
        await page.clock.run_for(240)
        assert await page.evaluate("frames.length") == 2 * count
        await page.clock.run_for(10)
    assert await page.evaluate("answers") == [f"{topic} DONE" for topic in TOPICS]
    assert await page.evaluate("frames.length") == 6


async def test_a_question_after_a_quiet_time_is_asked_at_once(page: Page) -> None:
    await page.evaluate("questions.ask(['job:a'])")
    await answer(page, "DONE")
    await page.clock.run_for(250)
    await page.evaluate("questions.ask(['job:b'])")
    assert await asked(page) == [["job:a"], ["job:b"]]


async def test_what_is_being_asked_for_is_not_asked_for_again(page: Page) -> None:
    await page.evaluate("questions.ask(['job:a']); questions.ask(['job:b', 'job:a'])")
    await answer(page, "UNKNOWN")
    await page.clock.run_for(250)
    await page.evaluate("questions.ask(['job:a', 'job:b'])")
    await answer(page, "UNKNOWN")
    await page.clock.run_for(250)
    assert await asked(page) == [["job:a"], ["job:b"]]
    assert await page.evaluate("resolving") == ["job:a", "job:b"]


async def test_a_listener_that_asks_for_more_does_not_have_the_rest_of_an_answer_asked_for_again(page: Page) -> None:
    await page.evaluate("""() => {
      const { push } = answers;
      answers.push = (line) => { push.call(answers, line); questions.ask(["job:more"]); };
      questions.ask(["job:a", "job:b"]);
    }""")
    await page.clock.run_for(250)
    await answer(page, "DONE")
    assert await asked(page) == [["job:a", "job:b"], ["job:more"]]
    assert await page.evaluate("frames.map(({ type }) => type)") == ["subscribe", "unsubscribe", "subscribe"]


async def test_the_detail_endpoint_gets_at_most_four_requests_at_a_time_in_order(page: Page) -> None:
    names = TOPICS[:10]
    await page.evaluate("(topics) => questions.ask(topics)", names)
    await answer(page, "UNKNOWN")
    assert await page.evaluate("resolving") == names[:4]
    await page.evaluate("ends['job:2'].resolve({ topic: 'job:2', status: 'DONE' })")
    assert await page.evaluate("resolving") == names[:5]
    await page.evaluate("resolving.forEach((topic) => ends[topic].resolve(null))")
    assert await page.evaluate("resolving") == names[:9]
    assert await page.evaluate("answers") == ["job:2 DONE", *(f"{name} none" for name in names[:5] if name != "job:2")]


async def test_requests_that_fail_or_hang_are_made_again_later_and_others_get_their_turn(page: Page) -> None:
    names = TOPICS[:6]
    await page.evaluate("(topics) => questions.ask(topics)", names)
    await answer(page, "UNKNOWN")
    await page.evaluate("ends['job:0'].reject(new Error('503'))")
    assert await page.evaluate("resolving") == names[:5]
    await page.clock.run_for(30_000)  # job:1 to job:4 hang
    again = await page.evaluate("resolving.slice(5)")
    assert again[0] == "job:5"
    assert "job:0" in again
    await page.clock.run_for(60_000)
    assert set(await page.evaluate("resolving.slice(5)")) >= set(names)
