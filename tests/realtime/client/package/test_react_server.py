"""The hooks of React on a server, which has no feed."""

from collections.abc import Callable
from typing import Any

DEVELOPMENT = '--define:process.env.NODE_ENV="development"'


def test_a_server_renders_without_a_feed(bundle: Callable[..., str], in_node: Callable[[str], Any]) -> None:
    text = """
    import { renderToString } from "react-dom/server.browser";
    import { FeedProvider, useFeed, useRecord, useRecords, useStatus } from "realtime-client/react";

    let opened = 0;
    const Row = () => <p>{`${useRecord("job:1")} ${useRecords("*").length} ${useStatus().state} ${useFeed()}`}</p>;
    const html = renderToString(<FeedProvider feed={() => { opened += 1; }}><Row /></FeedProvider>);
    export const result = { html, opened };
    """
    assert in_node(bundle(text, DEVELOPMENT)) == {"html": "<p>undefined 0 connecting null</p>", "opened": 0}


def test_a_hook_outside_of_a_provider_says_so(bundle: Callable[..., str], in_node: Callable[[str], Any]) -> None:
    text = """
    import { renderToString } from "react-dom/server.browser";
    import { useRecord } from "realtime-client/react";

    const Row = () => useRecord("job:1").status;
    export const result = Promise.resolve().then(() => renderToString(<Row />)).catch(String);
    """
    assert in_node(bundle(text, DEVELOPMENT)) == "Error: There is no <FeedProvider> around this component."
