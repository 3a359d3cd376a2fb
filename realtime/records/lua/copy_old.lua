-- Copies the progress of a key of the version before tenants, unless the topic has progress or its record has changed.
-- Placed behind publish.lua, which is the function publish() here. Has the KEYS and ARGV of publish.lua, and
-- ARGV: 16 the offset of the tenant's record when the caller read it, '' if there was none.
-- Returns the verdict, or nothing if nothing was copied.
if redis.call('EXISTS', KEYS[2]) == 1 then return false end
local text = redis.call('GET', KEYS[1])
if (text and string.match(text, '^{"offset":(%d+),') or '') ~= ARGV[16] then return false end
local lease = redis.call('ZSCORE', KEYS[7], ARGV[1])
local verdict = publish()[1]
-- A copy does not prove that a worker is running, and old workers renew no lease: keep the lease as it was.
if lease then redis.call('ZADD', KEYS[7], lease, ARGV[1]) else redis.call('ZREM', KEYS[7], ARGV[1]) end
return verdict
