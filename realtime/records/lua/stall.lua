-- Marks a topic whose lease ran out as stalled, unless the lease was renewed, or the topic published since.
-- Placed behind publish.lua, which is the function publish() here. Has the KEYS and ARGV of publish.lua, with a text in
-- which `stalled` is true, and ARGV: 16 the offset of the record that the caller read.
-- Returns the verdict, or nothing if there was nothing to mark.
local deadline = redis.call('ZSCORE', KEYS[7], ARGV[1])
local clock = redis.call('TIME')
if not deadline or tonumber(deadline) > tonumber(clock[1]) + tonumber(clock[2]) / 1000000 then return false end
local text = redis.call('GET', KEYS[1])
if not text or string.match(text, '^{"offset":(%d+),') ~= ARGV[16] then return false end
local answer = publish()
redis.call('ZREM', KEYS[7], ARGV[1]) -- publish() has written a lease, but no worker is running
return answer[1]
