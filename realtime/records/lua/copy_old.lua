-- Copies the progress that stood under a name without tenant: never over progress, nor over a record that changed.
-- Stands behind publish.lua, which is its function publish(): the same KEYS and ARGV; ARGV: 16 the offset of the
-- tenant's own record that was read, '' if there was none. Returns the verdict, or nothing if it was not copied.
if redis.call('EXISTS', KEYS[2]) == 1 then return false end
local text = redis.call('GET', KEYS[1])
if (text and string.match(text, '^{"offset":(%d+),') or '') ~= ARGV[16] then return false end
local lease = redis.call('ZSCORE', KEYS[7], ARGV[1])
local verdict = publish()[1]
-- A copy does not say that somebody is at work, and old workers renew no lease.
if lease then redis.call('ZADD', KEYS[7], lease, ARGV[1]) else redis.call('ZREM', KEYS[7], ARGV[1]) end
return verdict
