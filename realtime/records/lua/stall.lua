-- Marks a topic whose lease ran out as stalled, unless the lease was renewed or anything was said of it meanwhile.
-- Stands behind publish.lua, which is its function publish(): the same KEYS and ARGV, with a text that says "stalled";
-- ARGV: 16 the offset of the record that was read. Returns the verdict, or nothing if there was nothing to mark.
local deadline = redis.call('ZSCORE', KEYS[7], ARGV[1])
local clock = redis.call('TIME')
if not deadline or tonumber(deadline) > tonumber(clock[1]) + tonumber(clock[2]) / 1000000 then return false end
local text = redis.call('GET', KEYS[1])
if not text or string.match(text, '^{"offset":(%d+),') ~= ARGV[16] then return false end
local answer = publish()
redis.call('ZREM', KEYS[7], ARGV[1]) -- publish() has written one, but nobody is at work
return answer[1]
