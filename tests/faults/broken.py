"""Deliberate defects, at least one for each guarantee, and for each defect the test that has to fail because of it.

For each defect, `script/break-guarantees` copies the project, puts the defect into the copy, and runs the test there.
The table in docs/explanation/broken-on-purpose.md is made from this list.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Defect:
    """A text of the project (`old`), its replacement (`new`), and the test that has to fail with the replacement."""

    guarantee: str
    what: str
    file: str
    old: str
    new: str
    test: str


DEFECTS = [
    Defect(
        "1. Terminal certainty",
        "the relay does not notice that Redis was emptied or replaced",
        "realtime/outbox/refill_redis.py",
        "if mark == run_id or time.monotonic() < self._again_at:",
        "if True:",
        "tests/realtime/outbox/test_refill_redis.py",
    ),
    Defect(
        "1. Terminal certainty",
        "the hub does not read again after a gap",
        "realtime/feed/followed_feed.py",
        'self.request_read("gap" if message.epoch == self.mirror.epoch else "epoch")',
        "pass",
        "tests/realtime/feed/test_hub_machine.py",
    ),
    Defect(
        "1. Terminal certainty",
        "the claim of a relay on rows never runs out",
        "realtime/outbox/claims.py",
        "AND (next_try_at IS NULL OR next_try_at <= statement_timestamp())",
        "AND next_try_at IS NULL",
        "tests/realtime/outbox/test_relay.py::test_a_row_that_another_relay_has_claimed_is_left_to_it_until_its_claim_runs_out",
    ),
    Defect(
        "1. Terminal certainty",
        "a relay holds its transaction while it sends",
        "realtime/outbox/relay.py",
        "        for delivery in self._deliveries:\n            while rows :=",
        "        __import__('django.db').db.connection.set_autocommit(False)\n"
        "        for delivery in self._deliveries:\n            while rows :=",
        "tests/realtime/outbox/test_revoke.py::test_the_relay_locks_no_row_while_it_sends_a_revocation",
    ),
    Defect(
        "1. Terminal certainty",
        "the lease of the relay that maintains Redis never runs out",
        "realtime/outbox/lease.py",
        "    OR held_until <= statement_timestamp()\n",
        "",
        "tests/realtime/outbox/test_relay.py::test_one_relay_at_a_time_maintains_redis_and_another_takes_over_when_it_freezes",
    ),
    Defect(
        "1. Terminal certainty",
        "all kinds of rows are sent in one thread",
        "realtime/outbox/relay.py",
        "                self._rows[delivery.kind].put(rows)",
        "                self._results.put((delivery, delivery.send(rows)))",
        "tests/realtime/outbox/test_relay.py::test_a_sender_that_hangs_does_not_delay_other_kinds",
    ),
    Defect(
        "1. Terminal certainty",
        "a row that can never be sent is tried for ever",
        "realtime/outbox/claims.py",
        "error=error[:ERROR_LENGTH], failed_at=Now())",
        "error=error[:ERROR_LENGTH])",
        "tests/realtime/outbox/test_rows_set_aside.py",
    ),
    Defect(
        "1. Terminal certainty",
        "the relay's own clock decides which rows are old enough to send",
        "realtime/outbox/claims.py",
        "OutboxEntry.objects.raw(_CLAIM, fields)",
        "OutboxEntry.objects.raw("
        "_CLAIM.replace('statement_timestamp()', f'to_timestamp({__import__(\"time\").time()})'), fields)",
        "tests/realtime/outbox/test_relay.py::test_the_clock_of_the_relays_host_does_not_matter",
    ),
    Defect(
        "1. Terminal certainty",
        "a bad key of one tenant stops the batch for all tenants",
        "realtime/records/script_batches.py",
        "    note_isolated(where, answer)\n    return None",
        "    raise answer",
        "tests/realtime/repair/test_sweeper.py",
    ),
    Defect(
        "1. Terminal certainty",
        "an error after the commit is raised to the caller",
        "realtime/outbox/after_commit.py",
        '            log.exception("after_commit_failed", hook=self.__qualname__)',
        "            raise",
        "tests/realtime/outbox/test_after_commit.py",
    ),
    Defect(
        "1. Terminal certainty",
        "a thread waits for ever for a database that never answers",
        "config/postgresql/driver.py",
        "limit = self.answer_seconds if timeout is None else None",
        "limit = None",
        "tests/config/test_postgresql_link.py::test_a_statement_that_takes_longer_than_the_limit_is_given_up",
    ),
    Defect(
        "1. Terminal certainty",
        "a topic without a row is shown as unfinished for ever",
        "realtime/repair/sweeper.py",
        "self._missing = without_row",
        "self._missing = set()",
        "tests/realtime/repair/test_sweeper.py",
    ),
    Defect(
        "1. Terminal certainty",
        "the relay does not notice that a Redis process was promoted again",
        "realtime/publish/publisher.py",
        'return links.history(self._redis.info("replication"))',
        'return str(self._redis.info("server")["run_id"])',
        "tests/realtime/test_failover.py::test_the_relay_fills_a_redis_that_was_promoted_again",
    ),
    Defect(
        "1. Terminal certainty",
        "a link stays connected to a Redis that has become a replica",
        "realtime/redis/links.py",
        "if not _is_wrong_server(problem) or time.monotonic() - made_at < YOUNG_SECONDS:",
        "if True:",
        "tests/realtime/test_failover.py",
    ),
    Defect(
        "1. Terminal certainty",
        "the pub/sub link stays connected to a Redis that was replaced",
        "realtime/feed/reader.py",
        "if self.link.connected and self.link.history != history:",
        "if False:",
        "tests/realtime/test_failover.py",
    ),
    Defect(
        "1. Terminal certainty",
        "a connection that is lost before the hub reads from it is not noticed",
        "realtime/redis/links.py",
        "if await connection.can_read():",
        "if False:",
        "tests/realtime/feed/test_pubsub_link.py::test_a_connection_that_is_lost_before_it_is_handed_over_is_noticed",
    ),
    Defect(
        "1. Terminal certainty",
        "feeds are read from a replica",
        "realtime/records/lua/replication_id.lua",
        "if not string.find(said, 'role:master', 1, true) then",
        "if false then",
        "tests/realtime/test_failover.py",
    ),
    Defect(
        "1. Terminal certainty",
        "after an outage, topics that clients saw unfinished are not read by name",
        "realtime/feed/followed_feed.py",
        "return self.broadcast.named_topics() | self.mirror.unfinished()",
        "return self.broadcast.named_topics()",
        "tests/realtime/feed/test_cut_off.py",
    ),
    Defect(
        "1. Terminal certainty",
        "a new client gets an older record of a topic than the feed has",
        "realtime/feed/followed_feed.py",
        "            collector.add(applied)",
        "            pass",
        "tests/realtime/feed/test_hub.py",
    ),
    Defect(
        "1. Terminal certainty",
        "a row is changed without its record",
        "academy/adapters/db/django/published_rows.py",
        "        also(row)\n        self._publish(row)\n",
        "        also(row)\n",
        "tests/worker/test_row_and_feed.py",
    ),
    Defect(
        "1. Terminal certainty",
        "another module writes the status of a job",
        "academy/adapters/db/django/repositories_ai.py",
        ".update(stored_bytes=stored_bytes)",
        '.update(stored_bytes=stored_bytes, status="DONE")',
        "tests/db/test_published_rows.py",
    ),
    Defect(
        "1. Terminal certainty",
        "records that went to a replaced master are not published again",
        "realtime/outbox/refill_redis.py",
        "        self._republisher.plan()\n",
        "",
        "tests/realtime/outbox/test_publish_again.py::"
        "test_a_terminal_record_that_went_to_the_old_master_is_published_again_after_the_fill",
    ),
    Defect(
        "2. Monotone",
        "Redis accepts late progress of an older attempt",
        "realtime/records/lua/publish.lua",
        "if attempt < old_attempt then return {'stale_attempt', epoch, offset} end",
        "",
        "tests/realtime/publish/test_publish_machine.py",
    ),
    Defect(
        "2. Monotone",
        "a Redis that was emptied or replaced keeps its epoch (the epoch rule is dropped)",
        "realtime/records/lua/open_feed.lua",
        "if feed[1] and feed[3] == now then",
        "if feed[1] then",
        "tests/realtime/feed/test_hub_machine.py",
    ),
    Defect(
        "2. Monotone",
        "a promotion of a Redis process does not start a new epoch",
        "realtime/records/lua/replication_id.lua",
        "return string.sub(said, before + 1, before + 40)",
        "return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')",
        "tests/realtime/test_failover.py::test_a_redis_that_is_promoted_twice_begins_an_epoch_each_time",
    ),
    Defect(
        "2. Monotone",
        "a feed whose offset went back keeps its epoch",
        "realtime/records/lua/snapshot.lua",
        "if ARGV[1] == epoch and known > tonumber(offset) then",
        "if false then",
        "tests/realtime/publish/test_publish_machine.py",
    ),
    Defect(
        "2. Monotone",
        "a status that is sent late replaces newer progress",
        "realtime/records/lua/publish.lua",
        "if data and stalled and tonumber(stored_at) > said_at then",
        "if false then",
        "tests/realtime/publish/test_publisher.py",
    ),
    Defect(
        "3. Snapshot + records = fresh snapshot",
        "messages that arrive while the snapshot is read are not merged",
        "realtime/feed/followed_feed.py",
        "self.receive(buffered)",
        "self.receive([])",
        "tests/realtime/feed/test_hub_machine.py",
    ),
    Defect(
        "3. Snapshot + records = fresh snapshot",
        "a place includes records that were not sent to the slow client yet",
        "realtime/feed/subscriber.py",
        "offset = min(offset, min(record.offset for record in self._pending.values()) - 1)",
        "pass",
        "tests/realtime/feed/test_subscriber.py",
    ),
    Defect(
        "4. Tenant walls",
        "the names of keys and channels do not carry the tenant",
        "realtime/records/keys.py",
        'return f"{self.prefix}tenant:{int(tenant_id)}:"',
        'return f"{self.prefix}tenant:{int(tenant_id) * 0}:"',
        "tests/realtime/publish/test_publish_machine.py",
    ),
    Defect(
        "Revocation",
        "while Redis takes no writes, a process does not read revocations from the database",
        "realtime/connect/unwritten_revocations.py",
        "if self.refuses_marks or returned or (in_background and (recovered or noted == 1)):",
        "if False:",
        "tests/realtime/outbox/test_revoke.py",
    ),
    Defect(
        "Revocation",
        "while Redis does not answer, a process does not read revocations from the database",
        "realtime/connect/link_health.py",
        "return asyncio.get_running_loop().time() - self._reader.link.delivered_until <= HEARD_SECONDS",
        "return True",
        "tests/faults/test_silent_redis.py",
    ),
    Defect(
        "Revocation",
        "a mark that is written late gets the time at which it is written",
        "realtime/outbox/revoke.py",
        'at = float(payload.get("at") or conf.revocations().now())',
        "at = conf.revocations().now()",
        "tests/realtime/outbox/test_revoke.py",
    ),
    Defect(
        "Revocation",
        "processes are not told of a mark that Redis refuses",
        "realtime/connect/revocation.py",
        "self._redis.publish(self._keys.revocations(), unwritten.to_bytes())",
        "pass",
        "tests/realtime/outbox/test_revoke.py",
    ),
    Defect(
        "Redis at its limit",
        "ends of jobs are refused as progress is",
        "realtime/records/commands.py",
        "return self.at_the_limit if draft.status.terminal else self._refused_at_the_limit",
        "return self._refused_at_the_limit",
        "tests/realtime/test_memory_limit.py",
    ),
    Defect(
        "Redis at its limit",
        "the status of an ended topic never expires",
        "realtime/records/lua/publish.lua",
        "if ended and ARGV[8] ~= '0' then redis.call('EXPIRE', ARGV[14] .. member .. ARGV[15], ARGV[8]) end",
        "",
        "tests/realtime/test_memory_limit.py",
    ),
    Defect(
        "Beside proxies",
        "the kernel keeps sending to a peer that vanished",
        "realtime/connect/connection.py",
        "self._carrier.give_up_silent(self._timing.slow + CLOSE_SECONDS + 1)",
        "pass",
        "tests/contract/test_vanished_peers.py",
    ),
    Defect(
        "Beside proxies",
        "a connection whose peer is gone counts towards its user's limit",
        "realtime/connect/connections.py",
        "            oldest.give_up()\n",
        "",
        "tests/realtime/connect/test_connections.py",
    ),
    Defect(
        "Beside proxies",
        "a stream's `closing` sets the wait before all later reconnections",
        "realtime/web/sse.py",
        "        await self._write(frame.event)",
        '        await self._write((b"retry: 0\\n" if frame.kind == "closing" else b"") + frame.event)',
        "tests/contract/test_limits.py",
    ),
    Defect(
        "Beside proxies",
        "on SIGTERM, other servers wait for streams that do not end",
        "realtime/web/lifespan.py",
        "drain.install()",
        "pass",
        "tests/contract/test_other_servers.py",
    ),
    Defect(
        "Blame for failures",
        "the file is blamed for an ffmpeg that a signal ended",
        "academy/adapters/video/ffmpeg.py",
        'raise FfmpegKilledError(f"{log}\\nIt was ended by signal {-code}.")',
        "raise FfmpegError(log)",
        "tests/video/test_ffmpeg.py::test_an_ffmpeg_ended_by_a_signal_is_not_blamed_on_the_video",
    ),
    Defect(
        "Blame for failures",
        "the file is blamed for an ffmpeg that gets no thread, memory or encoder",
        "academy/adapters/video/blame.py",
        "    if _NO_THREAD.search(log) or (code and _is_trouble(code, log)):\n        return Blame.MACHINE\n",
        "",
        "tests/video/test_ffmpeg.py::test_these_errors_are_blamed_on_the_machine",
    ),
    Defect(
        "Blame for failures",
        "a segment that was written only in part is stored",
        "academy/adapters/video/whole.py",
        "if not _is_whole(folder / name, seconds * rate):",
        "if False:",
        "tests/video/test_encode.py::test_a_segment_that_the_disk_cut_short_is_an_error",
    ),
    Defect(
        "Blame for failures",
        "the workbook is blamed for a reader that the OOM killer ended",
        "academy/adapters/excel/bounded.py",
        "    return None\n",
        "    return DamagedWorkbookError()\n",
        "tests/excel/test_bounded.py::test_a_reader_ended_by_a_signal_is_not_blamed_on_the_workbook",
    ),
    Defect(
        "Blame for failures",
        "a pause of the machine counts as time in which ffmpeg printed nothing",
        "academy/adapters/video/ffmpeg.py",
        "quiet += min(now - looked_at, _LONGEST_LOOK_SECONDS)",
        "quiet += now - looked_at",
        "tests/video/test_ffmpeg.py::test_a_pause_of_this_process_does_not_count_as_silence_of_ffmpeg",
    ),
    Defect(
        "Blame for failures",
        "a job keeps its slot during the pause after a failed attempt",
        "academy/adapters/db/django/repositories_turns.py",
        'paused=Count("pk", filter=PAUSES)',
        'paused=Count("pk", filter=WAITS)',
        "tests/worker/test_pauses.py",
    ),
    Defect(
        "Blame for failures",
        "a file that is stored again gets another name instead of replacing the first",
        "apps/support/video/services/files.py",
        "    try:\n        drop_folder(video.folder)\n",
        "    try:\n",
        "tests/worker/test_video_store.py",
    ),
    Defect(
        "Slow clients",
        "an answer to a poll that the client does not read is kept for ever",
        "realtime/web/polls.py",
        "call_later(self._seconds_left(), self._too_slow)",
        "call_later(86_400, self._too_slow)",
        "tests/contract/test_stalled_readers.py",
    ),
    Defect(
        "Slow clients",
        "each client that does not read costs a copy of its snapshot",
        "realtime/protocol/frames.py",
        "    if large:\n",
        "    if False:\n",
        "tests/contract/test_stalled_readers.py",
    ),
    Defect(
        "Blame for failures",
        "the emulator of S3 restarts in another region",
        "embedded/sqs.py",
        '"MINISTACK_REGION": os.environ.get("AWS_REGION") or REGION,',
        "",
        "tests/embedded/test_servers.py::test_a_restarted_emulator_accepts_files_at_signed_addresses_again",
    ),
    Defect(
        "Blame for failures",
        "reading a detail does not mend a feed that differs from the row",
        "realtime/publish/publisher.py",
        "if not overtakes(draft, held):",
        "if True:",
        "tests/worker/test_row_and_feed.py",
    ),
    Defect(
        "Blame for failures",
        "a message that the provider did not take delays all others",
        "apps/worker/messaging_worker/health.py",
        "failures = max(self.unknown, self.refusals - FREE_FAILURES)",
        "failures = max(self.unknown, self.refusals)",
        "tests/messaging/test_unwell_providers.py",
    ),
    Defect(
        "5. Zero database",
        "authentication looks up the caller in the database",
        "apps/core/authentication.py",
        "        claimed = request.headers.get(",
        "        repositories_core.find_user(caller.user_id)\n        claimed = request.headers.get(",
        "tests/contract/test_zero_database.py",
    ),
    Defect(
        "Clocks",
        "Redis accepts a time in the future",
        "realtime/records/lua/publish.lua",
        "if said_at > now then",
        "if false then",
        "tests/realtime/publish/test_publisher.py",
    ),
    Defect(
        "Clocks",
        "if Redis' clock is a day ahead, topics that have just ended are dropped as old",
        "realtime/records/lua/publish.lua",
        "if tonumber(redis.call('ZSCORE', KEYS[5], member)) < latest - tonumber(ARGV[11]) then drop(member, true) end",
        "drop(member, true)",
        "tests/realtime/publish/test_publisher.py",
    ),
    Defect(
        "Clocks",
        "processes follow Redis' clock at once when it jumps for a moment",
        "realtime/redis/clock.py",
        "if not self._synchronized or abs(ahead - self._ahead) <= STEP_SECONDS:",
        "if True:",
        "tests/realtime/redis/test_clock.py",
    ),
    Defect(
        "Clocks",
        "a process uses its host's clock for marks of revocation",
        "realtime/connect/revocation.py",
        "if not clock.synchronized:",
        "if False:",
        "tests/realtime/test_wrong_clocks.py",
    ),
    Defect(
        "Clocks",
        "a host that is a day ahead deletes the marks of others",
        "realtime/records/lua/revoke.lua",
        "local oldest = math.min(tonumber(ARGV[3]), tonumber(clock[1]) * 1000 - tonumber(ARGV[6]))",
        "local oldest = tonumber(ARGV[3])",
        "tests/realtime/test_wrong_clocks.py",
    ),
    Defect(
        "Clocks",
        "a lease that was renewed by a wrong clock is not shortened",
        "realtime/repair/sweeper.py",
        "        self.leases.cap(tenant_ids)\n",
        "",
        "tests/realtime/test_wrong_clocks.py::"
        "test_a_lease_that_was_renewed_while_the_clock_of_redis_was_ahead_runs_out_with_the_others",
    ),
    Defect(
        "What a record carries",
        "a NUL reaches the outbox, where it makes the job's transaction fail",
        "realtime/records/json_text.py",
        "if _ESCAPED_NUL in text:",
        "if False:",
        "tests/realtime/outbox/test_outbox.py",
    ),
    Defect(
        "Revocation",
        "a process reads a new revocation without noting a time for it",
        "realtime/outbox/revoke.py",
        "        _note_times_of_new_rows()\n",
        "",
        "tests/realtime/outbox/test_revoke.py",
    ),
    Defect(
        "1. Terminal certainty",
        "a key of the wrong type in one tenant stops the probe for all tenants",
        "realtime/feed/reader.py",
        'found = [isolated(answer, "probe") for answer in answers]',
        "found = answers",
        "tests/realtime/redis/test_links.py",
    ),
    Defect(
        "Slow clients",
        "ends that arrive during a fan-out are each sent on their own",
        "realtime/feed/fan_out.py",
        "        if not self._steps:\n            self._urgent_pass, ",
        "        if self._requested:\n            self._urgent_pass, ",
        "tests/realtime/feed/test_broadcast.py",
    ),
    Defect(
        "Slow clients",
        "a tenant whose jobs end all the time stops the other tenants",
        "realtime/feed/rounds.py",
        " and not (self._last_was_urgent and self._others)",
        "",
        "tests/realtime/feed/test_rounds.py",
    ),
]


def put_in(defect: Defect, project: Path) -> None:
    """Replace the defect's `old` by its `new`. Raise ValueError unless the file contains `old` exactly once."""
    path = project / defect.file
    text = path.read_text(encoding="utf-8")
    if text.count(defect.old) != 1:
        raise ValueError(f"{defect.file} holds {text.count(defect.old)} times what is to be broken: {defect.old}")
    path.write_text(text.replace(defect.old, defect.new), encoding="utf-8")


def table() -> str:
    """Return the table of all defects in Markdown."""
    rows = [f"| {d.guarantee} | {d.what} (`{d.file}`) | `{d.test}` |" for d in DEFECTS]
    return "\n".join(["| guarantee | the defect | the test that fails |", "|---|---|---|", *rows])


def noticed(defect: Defect, folder: Path) -> bool:
    """Put the defect into a copy of the project in `folder`. Return whether its test fails there.

    A timeout and an error outside the test do not count as a failure.
    """
    project = folder / "project"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, files)):
        if (PROJECT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, project / name)
    put_in(defect, project)
    command = [sys.executable, "-m", "pytest", defect.test, "-x", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {"QUICK_FAILURE": "1"}
    try:
        ran = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"  the test did not end within {TIMEOUT_SECONDS} s")
        return False
    failed = ran.returncode == 1 and re.search(r"^\d+ failed", ran.stdout, re.MULTILINE) is not None
    if not failed:
        print(ran.stdout[-3000:])
    return failed


def main(wanted: Iterable[str]) -> int:
    """Try the defects whose guarantee, file or description contains one of the words; without words, all defects.

    Return 0 if there were defects to try and all were noticed, otherwise 1.
    """
    words = list(wanted)
    chosen = [d for d in DEFECTS if not words or any(word in f"{d.guarantee} {d.file} {d.what}" for word in words)]
    missed = 0
    for defect in chosen:
        print(f"{defect.guarantee}: {defect.what}", flush=True)
        with tempfile.TemporaryDirectory(prefix="broken-") as folder:
            seen = noticed(defect, Path(folder))
        print(f"  {'noticed by' if seen else 'NOT NOTICED by'} {defect.test}", flush=True)
        missed += not seen
    print(f"{len(chosen) - missed} of {len(chosen)} defects were noticed.")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
