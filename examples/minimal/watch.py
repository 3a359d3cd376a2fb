"""A client that prints the events of a tenant: `python watch.py <address> <access token>`."""

import json
import sys
from urllib.request import Request, urlopen

_, address, token = sys.argv
asked = Request(f"{address}/api/v1/realtime/ticket/", method="POST", headers={"Authorization": f"Bearer {token}"})
ticket = json.load(urlopen(asked))

opened = Request(ticket["events_url"], headers={"Authorization": f"Bearer {ticket['ticket']}"})
for line in urlopen(opened):
    print(line.decode(), end="", flush=True)
