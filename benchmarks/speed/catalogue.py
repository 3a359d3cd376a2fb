"""All servers by their names: ours, the limit, and those of others."""

from benchmarks.speed import peers, servers

ORDER = ("limit", "nchan", "node-ws", "ours", "ours-two", "ours-portable", "ours-daphne", "channels")

SERVERS = {name: (servers.SERVERS | peers.SERVERS)[name] for name in ORDER}
