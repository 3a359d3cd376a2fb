-- Placed in front of other scripts. Returns the replication id of this Redis (`master_replid`), which names its history.
-- Redis chooses a new one at each start and each promotion, even if one process is promoted twice. (The `run_id` does
-- not change at a promotion, and takes twice as long to read.)
-- A replica may be behind by an unknown amount: the scripts refuse to run there, and the client leaves it (links.py).
local function replication_id()
    local said = redis.call('INFO', 'replication')
    if not string.find(said, 'role:master', 1, true) then
        error(redis.error_reply('READONLY This Redis is a replica.'))
    end
    local _, before = string.find(said, 'master_replid:', 1, true)
    return string.sub(said, before + 1, before + 40)
end
