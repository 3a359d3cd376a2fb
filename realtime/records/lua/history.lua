-- Put in front of the other scripts: names the history that this Redis writes, its `master_replid`.
-- Redis takes another one at each start and at each promotion, so also where one process is promoted twice. (Its `run_id`
-- stays the same then, and costs twice as much to ask for.)
-- A replica may be behind, and nobody can tell by how much: nothing is read from it. Whoever asks leaves it (links.py).
local function history()
    local said = redis.call('INFO', 'replication')
    if not string.find(said, 'role:master', 1, true) then
        error(redis.error_reply('READONLY This Redis is a replica.'))
    end
    return string.match(said, 'master_replid:(%x+)')
end
